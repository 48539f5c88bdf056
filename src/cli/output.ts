// Writes are synchronous and straight to the file descriptor: nothing is lost by a later exit, and Node's stream
// objects for stdout and stderr (a few milliseconds of start-up) are not made.
import { writeSync } from 'node:fs';

const pause = new Int32Array(new SharedArrayBuffer(4));

function write(fd: 1 | 2, data: string | Uint8Array): void {
  let rest: Uint8Array = typeof data === 'string' ? Buffer.from(data) : data;
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      // A terminal or pipe that another program made non-blocking.
      if (code === 'EAGAIN') Atomics.wait(pause, 0, 0, 2);
      // Nobody reads any more (`gantry logs … | head`): end as SIGPIPE would have ended us, without a word.
      else if (code === 'EPIPE') process.exit(141);
      else throw error;
    }
  }
}

export const writeOut = (data: string | Uint8Array): void => write(1, data);
export const writeError = (data: string | Uint8Array): void => write(2, data);
