/** The plugins' program: every plugin in one executable, which is the one it is called as. */
import { serve } from './serve.ts';

/** Serves the call this process was started for. */
export function run(): void {
  serve();
}
