/** Where the system bus is, as libdbus finds it. */
export function systemBusAddress(): string {
  return process.env.DBUS_SYSTEM_BUS_ADDRESS || 'unix:path=/var/run/dbus/system_bus_socket';
}

/** The socket's path; one that starts with a NUL is abstract. Undefined: the bus is not on this machine. */
export function systemBusPath(): string | undefined {
  for (const address of systemBusAddress().split(';')) {
    const [transport, parameters = ''] = address.split(/:(.*)/s);
    if (transport !== 'unix') continue;
    for (const parameter of parameters.split(',')) {
      const [key, value = ''] = parameter.split('=');
      if (key === 'path') return decodeURIComponent(value);
      if (key === 'abstract') return `\0${decodeURIComponent(value)}`;
    }
  }
  return undefined;
}
