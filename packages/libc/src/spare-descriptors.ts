import { closeFile, openFile, openFlags } from './file.ts';

/** What taking back a step needs at once: the allocator's lock and record, and a file of what is read. */
const needed = 4;
const spare: number[] = [];

/**
 * Holds descriptors back, so that what is made now can be taken back where no more can be opened later (EMFILE, ENFILE).
 * A second call does nothing while they are held. Throws `open /: …` where there are too few, and then holds none.
 */
export function holdDescriptors(): void {
  try {
    while (spare.length < needed) spare.push(openFile('/', openFlags.path));
  } catch (error) {
    releaseDescriptors();
    throw error;
  }
}

/** Gives them back: they can be opened as something else. */
export function releaseDescriptors(): void {
  for (const fd of spare.splice(0)) closeFile(fd);
}
