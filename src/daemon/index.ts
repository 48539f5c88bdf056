import { messageOf } from '#errors/index.ts';
import { startDaemon } from './compose.ts';
import { collectWhenIdle } from './idle-collection.ts';
import { parseDaemonOptions } from './options.ts';

const levels = ['error', 'warn', 'info', 'debug'];

/** `gantry daemon`: runs until SIGTERM or SIGINT. Containers go on without it. Returns the exit code. */
export async function daemonMain(argv: readonly string[]): Promise<number> {
  try {
    const options = parseDaemonOptions(argv);
    if ('help' in options) {
      process.stdout.write(options.help);
      return 0;
    }
    const log = (level: string, text: string) => {
      if (levels.indexOf(level) <= levels.indexOf(options.logLevel))
        process.stderr.write(`${new Date().toISOString()} ${level} ${text}\n`);
    };
    const daemon = await startDaemon(options, log);
    using _idle = collectWhenIdle();
    const stopped = Promise.withResolvers<string>();
    process.once('SIGTERM', stopped.resolve);
    process.once('SIGINT', stopped.resolve);
    log('info', `stopping on ${await stopped.promise}`);
    await daemon.close();
    return 0;
  } catch (error) {
    process.stderr.write(`gantry daemon: ${messageOf(error)}\n`);
    return 1;
  }
}
