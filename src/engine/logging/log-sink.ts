import type { LogRecord } from '../engine.ts';

/** Where lines are sent to besides the file. One for each container that runs. */
export interface LogSink extends AsyncDisposable {
  /** Resolves when a line is handed over: it will not be sent again. @throws where it could not be; then ask again later */
  send(record: LogRecord, signal: AbortSignal): Promise<void>;
}
