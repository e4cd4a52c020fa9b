/** The time, as the caller of a state machine tells it: this package has no clock. */

export interface Now {
  /**
   * Milliseconds of CLOCK_BOOTTIME: nobody sets it, and it runs on while the machine sleeps. All times in a state are
   * of this clock, so that they mean the same to a daemon that is started again without a reboot.
   */
  readonly boottime: number;
  /** Milliseconds since 1970 (CLOCK_REALTIME). Only looked at when `boot` says that boottime began anew. */
  readonly wall: number;
  /** Names the boot that boottime counts from: the text of /proc/sys/kernel/random/boot_id. */
  readonly boot: string;
}
