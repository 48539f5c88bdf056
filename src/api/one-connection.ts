import { GantryError, isGantryError } from '#errors/index.ts';
import { type OpenConnection, serveExec } from './attach-streams.ts';
import type { ApiDeps } from './deps.ts';
import { errorAnswer } from './error-answer.ts';
import { type ExecBody, execOptionsOf } from './exec-api.ts';
import { flag, type Query } from './query.ts';
import { type ProcessEnd, pumpAttachment } from './streams.ts';

// Our own command line's way: a process is started, joined and waited for over one connection, upgraded like attach. Frames
// of its output come first, then one that tells its end (streams.ts#endFrame). An answer before the head means that nothing
// was started; 404 among them, so that whoever asks an engine without these goes the usual way.

/** Attach, wait and start of a container that has no terminal. @throws GantryError before the head only */
export async function serveStart(
  { containers, onError }: Pick<ApiDeps, 'containers' | 'onError'>,
  name: string,
  query: Query,
  open: OpenConnection,
): Promise<void> {
  const { id, options } = containers.get(name);
  if (options.terminal) throw new GantryError('invalid', `${name} has a terminal: attach to it, then start it`);
  const io = await containers.attach(id);
  const gone = new AbortController();
  const ended = containers.wait(id, options.autoRemove ? 'removed' : 'next-exit', { signal: gone.signal });
  ended.catch(() => undefined); // told where it is awaited
  const connection = open(false);
  connection.output.once('close', () => gone.abort());
  const outcome = async (): Promise<ProcessEnd> => {
    try {
      await containers.start(id);
    } catch (error) {
      await io[Symbol.asyncDispose](); // there is no output to wait for
      if (options.autoRemove) await ended; // gone when the person reads the message
      const { status, message, known } = errorAnswer(error);
      if (!known) onError(error, `starting ${id}`);
      return { Refused: { Status: status, Message: message } };
    }
    const { exitCode, error } = await ended;
    return { StatusCode: exitCode, ...(error === undefined ? {} : { Error: { Message: error } }) };
  };
  const outcomeOnce = outcome();
  outcomeOnce.catch(() => undefined); // told where it is awaited
  try {
    await pumpAttachment(connection, io, {
      raw: false,
      stdin: flag(query.stdin),
      stdout: flag(query.stdout),
      stderr: flag(query.stderr),
      end: () => outcomeOnce,
    });
  } catch (error) {
    if (!isGantryError(error, 'cancelled')) throw error; // the client went
  }
}

/** An exec without a terminal, made and started. @throws GantryError before the head only */
export async function serveWholeExec(
  deps: Pick<ApiDeps, 'containers'>,
  name: string,
  body: ExecBody,
  open: OpenConnection,
): Promise<void> {
  if (body.Tty) throw new GantryError('invalid', 'an exec with a terminal is made first, then started');
  const id = await deps.containers.createExec(name, execOptionsOf(body));
  await serveExec(deps, id, {}, open, async () => ({ StatusCode: await deps.containers.waitExec(id) }));
}
