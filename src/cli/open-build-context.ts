import { buildContext, type PackedContext } from '#client/index.ts';
import { isRemote } from './build-options.ts';
import { Failure } from './failure.ts';
import { standardInput } from './standard-input.ts';

export interface OpenContextOptions {
  /** -f; `-` is stdin, empty the context's own. */
  readonly file: string;
  readonly onSkipped: (path: string, what: string) => void;
}

export interface OpenContext extends Pick<PackedContext, 'list'> {
  readonly tar: AsyncIterable<Uint8Array>;
  readonly dockerfile: string;
  /** The engine fetches it from there; nothing is sent. */
  readonly remote?: string;
}

const sniffed = 512;

async function* nothing(): AsyncGenerator<Uint8Array, void, void> {}

/**
 * The context `build` was given: a directory, a URL, or stdin (`-`), which is a tar, packed or not, or else a Dockerfile.
 * @throws Failure, GantryError
 */
export async function openBuildContext(path: string, { file, onSkipped }: OpenContextOptions): Promise<OpenContext> {
  if (isRemote(path)) {
    if (file === '-') throw new Failure('a remote context brings its own Dockerfile; -f - cannot be used with it', 1);
    return { tar: nothing(), dockerfile: file || 'Dockerfile', remote: path };
  }
  const { packBuildContext, packDockerfile } = await buildContext();
  if (path !== '-')
    return await packBuildContext(path, {
      dockerfile: file === '' || file === '-' ? undefined : file,
      dockerfileText: file === '-' ? await readRest(standardInput()) : undefined,
      onSkipped,
    });
  if (file === '-')
    throw new Failure('invalid argument: can\u2019t use stdin for both build context and dockerfile', 1);
  const { start, whole } = await sniff(standardInput());
  if (looksPacked(start)) return { tar: whole, dockerfile: file || 'Dockerfile' };
  if (file !== '') throw new Failure(`stdin is no tar, so there is no context to find -f ${file} in`, 1);
  return packDockerfile(await readRest(whole));
}

/** gzip, bzip2, xz, zstd, or a tar header's magic. */
function looksPacked(start: Buffer): boolean {
  const magic = start.toString('hex', 0, 6);
  return /^(?:1f8b|425a68|fd377a585a00|28b52ffd)/.test(magic) || start.toString('latin1', 257, 262) === 'ustar';
}

async function sniff(source: AsyncIterable<Buffer>): Promise<{ start: Buffer; whole: AsyncIterable<Buffer> }> {
  const iterator = source[Symbol.asyncIterator]();
  let start: Buffer = Buffer.alloc(0);
  while (start.length < sniffed) {
    const next = await iterator.next();
    if (next.done) break;
    start = Buffer.concat([start, next.value]);
  }
  const whole = async function* (): AsyncGenerator<Buffer, void, void> {
    yield start;
    yield* { [Symbol.asyncIterator]: () => iterator };
  };
  return { start, whole: whole() };
}

async function readRest(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}
