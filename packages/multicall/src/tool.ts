/** The tool's program: cnitool, with every plugin in it, since it calls them instead of executing them. */
import { serve } from './serve.ts';
import { runTool } from './tool-process.ts';

/** Serves the call this process was started for. */
export function run(): void {
  serve(runTool);
}
