/** Which keys say that what is under them is a secret: for whatever writes configurations where others read them. */

/** Made at the first question: nothing of it is for a call that nobody logs. */
let words: ReadonlySet<string> | undefined;

const secretWords =
  'password passwd passphrase pass pwd secret secrets token tokens key keys apikey psk auth authorization authentication bearer credential credentials cred creds cert certs certificate certificates cookie cookies session pem private env environment jwt signature';
const secretParts = ['passw', 'secret', 'token', 'apikey', 'credential', 'private', 'certificate'];

/** `apiKey`, `client-secret`, `K8S_AUTH_TOKEN`: whether a word of it says so. */
export function isSecretKey(key: string): boolean {
  words ??= new Set(secretWords.split(' '));
  const parts = key
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/);
  const whole = parts.join('');
  for (const part of parts) if (words.has(part)) return true;
  return secretParts.some((part) => whole.includes(part));
}
