/** How large a configuration may be. One with the largest prevResult, or the list of all attachments of the largest node,
 *  has less than one MiB. */
export const mostMebibytes = 16;

/** The same in bytes. */
export const mostConfiguration = mostMebibytes * 2 ** 20;
