import { readlinkSync } from 'node:fs';
import { chmod, chown, copyFile, mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { posix } from 'node:path';
import {
  expandWord,
  frameError,
  type Lookup,
  parseRunMount,
  type RunMount,
  type Span,
  type Word,
} from '#dockerfile/index.ts';
import { GantryError } from '#errors/index.ts';
import { closeFd, mountDetached, openDirectory } from '#linux/index.ts';
import type { Mount } from '#oci/index.ts';
import { agentSocket } from './agent-socket.ts';
import type { BuildSession } from './build-session.ts';
import { copySelection } from './copy-files.ts';
import { attachMount, memoryFilesystem } from './host-mounts.ts';
import { digestSelection } from './selection-digest.ts';
import { originOf, type SourceOrigin } from './source-origins.ts';
import { selectSources } from './source-tree.ts';
import type { StageOutput } from './stage-output.ts';
import { findInRoot, isDirectory } from './tree-paths.ts';

type TreeMount = Extract<RunMount, { type: 'bind' | 'cache' }>;

/** A mount of a RUN with its place in the file. */
export interface PlannedMount {
  readonly mount: RunMount;
  readonly span: Span;
  /** What is mounted, for those that have a source. */
  readonly origin?: SourceOrigin;
}

interface Place {
  readonly stage: number;
  readonly lookup: Lookup;
  readonly output: StageOutput;
}

/** The mounts of a RUN, with variables expanded and sources found. @throws GantryError invalid, as a code frame */
export async function planMounts(
  session: BuildSession,
  words: readonly Word[],
  place: Place,
): Promise<readonly PlannedMount[]> {
  return Promise.all(
    words.map(async ({ text, span }): Promise<PlannedMount> => {
      const expanded = text.includes('$') ? expandWord({ text, span }, place.lookup, session.file.escape) : text;
      const mount = parseRunMount(expanded, span);
      if (mount.type !== 'bind' && !(mount.type === 'cache' && (mount.from ?? mount.source) !== ''))
        return { mount, span };
      const from = mount.from === undefined ? undefined : { text: mount.from, span };
      return { mount, span, origin: await originOf(session, from, place.stage, place.output) };
    }),
  );
}

/** What of the mounts a step's result depends on: contents of what is bound; of caches and secrets only which. */
export function mountInputs(session: BuildSession, planned: readonly PlannedMount[]): Promise<readonly unknown[]> {
  return Promise.all(
    planned.map(async ({ mount, origin }) => {
      if (mount.type === 'bind' && origin !== undefined)
        return [
          mount.type,
          mount.target,
          mount.readOnly,
          origin.layer ?? (await contentOf(session, mount, origin)),
          mount.source,
        ];
      if (mount.type === 'secret' || mount.type === 'ssh')
        return [mount.type, mount.id, mount.target, 'env' in mount ? mount.env : ''];
      if (mount.type === 'cache') return [mount.type, mount.id, mount.target];
      return [mount];
    }),
  );
}

const contentOf = async (session: BuildSession, mount: TreeMount, origin: SourceOrigin) =>
  (await origin.use((tree) => digestSelection(tree, selectSources(tree, [mount.source || '/']), session.signal)))
    .digest;

/** Mounts made ready for one step. */
export interface StepMounts extends AsyncDisposable {
  readonly mounts: readonly Mount[];
  /** `NAME=value` of secrets and the agent; never part of a key or a log. */
  readonly env: readonly string[];
}

/**
 * Makes ready what a RUN mounts. Sources are resolved inside their tree once, and mounted by what they led to; nobody
 * but this build can change them meanwhile (CVE-2024-23651).
 * @throws GantryError invalid, as a code frame (a source or secret that is not there)
 */
export async function openStepMounts(
  session: BuildSession,
  planned: readonly PlannedMount[],
  cwd: string,
): Promise<StepMounts> {
  const mounts: Mount[] = [];
  const env: string[] = [];
  const stack = new AsyncDisposableStack();
  try {
    let memory: string | undefined;
    const inMemory = async (): Promise<string> => {
      if (memory === undefined) {
        memory = `${await mkdtemp(`${session.scratch}/secrets-`)}/tmpfs`;
        stack.use(await attachMount(memoryFilesystem(), memory));
      }
      return memory;
    };
    for (const [index, { mount, span, origin }] of planned.entries()) {
      const target = (written: string) => posix.resolve('/', cwd, written);
      switch (mount.type) {
        case 'bind': {
          const path = await sourcePath(session, mount, origin, span, stack);
          mounts.push(
            mount.readOnly
              ? bind(path, target(mount.target), true)
              : await writableBind(session, path, target(mount.target)),
          );
          break;
        }
        case 'cache': {
          const fill =
            origin === undefined ? undefined : (directory: string) => seed(session, mount, origin, directory);
          const held = await session.cacheMounts.hold(mount, fill, session.signal);
          stack.defer(held.release);
          mounts.push(bind(held.path, target(mount.target), mount.readOnly));
          break;
        }
        case 'tmpfs':
          mounts.push({
            destination: target(mount.target),
            type: 'tmpfs',
            source: 'tmpfs',
            options: ['nosuid', 'nodev', ...(mount.size === undefined ? [] : [`size=${mount.size}`])],
          });
          break;
        case 'secret': {
          const value = secretOf(session, mount.id);
          if (value === undefined) {
            if (mount.required)
              throw frameError(span, `secret ${mount.id}: not found; give it with --secret id=${mount.id},src=FILE`);
            break;
          }
          if (mount.env !== undefined) env.push(`${mount.env}=${Buffer.from(value).toString('utf8')}`);
          if (mount.env !== undefined && mount.target === undefined) break;
          const path = `${await inMemory()}/${index}`;
          await writeFile(path, value, { mode: 0o400 });
          await chown(path, mount.uid, mount.gid);
          await chmod(path, mount.mode);
          mounts.push(bind(path, target(mount.target ?? `/run/secrets/${mount.id}`), true));
          break;
        }
        case 'ssh': {
          const agent = Object.hasOwn(session.request.agents ?? {}, mount.id)
            ? session.request.agents?.[mount.id]
            : undefined;
          if (agent === undefined) {
            if (mount.required)
              throw frameError(span, `ssh agent ${mount.id}: not given; give it with --ssh ${mount.id}`);
            break;
          }
          const path = `${await inMemory()}/${index}.sock`;
          stack.use(await agentSocket(path, agent, mount));
          const inside = target(mount.target ?? `/run/buildkit/ssh_agent.${index}`);
          env.push(`SSH_AUTH_SOCK=${inside}`);
          mounts.push(bind(path, inside, false));
        }
      }
    }
    const depth = ({ destination }: Mount) => destination.split('/').length;
    return {
      mounts: mounts.toSorted((a, b) => depth(a) - depth(b)),
      env,
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

const secretOf = ({ request: { secrets = {} } }: BuildSession, id: string) =>
  Object.hasOwn(secrets, id) ? secrets[id] : undefined;

const bind = (source: string, destination: string, readOnly: boolean): Mount => ({
  destination,
  type: 'bind',
  source,
  options: ['rbind', 'rprivate', readOnly ? 'rro' : 'rw'],
});

/** The path on this host of what a mount's source leads to; a stage's or image's tree is mounted for it. */
async function sourcePath(
  session: BuildSession,
  mount: TreeMount,
  origin: SourceOrigin | undefined,
  span: Span,
  stack: AsyncDisposableStack,
): Promise<string> {
  if (origin === undefined) throw new GantryError('internal', `the mount at ${mount.target} has no origin`);
  let directory: string;
  if (origin.layer === undefined) directory = await origin.directory();
  else {
    directory = `${await mkdtemp(`${session.scratch}/view-`)}/tree`;
    stack.use(await attachMount(mountDetached(await session.driver.view(origin.layer)), directory));
  }
  const root = openDirectory(directory);
  try {
    const handle = findInRoot(root, mount.source);
    if (handle === undefined)
      throw frameError(span, `the source "${mount.source}" of the mount at ${mount.target} is not there`);
    try {
      return readlinkSync(`/proc/self/fd/${handle}`);
    } finally {
      closeFd(handle);
    }
  } finally {
    closeFd(root);
  }
}

/** A bind that may be written to: what is written is thrown away with the step. */
async function writableBind(session: BuildSession, source: string, destination: string): Promise<Mount> {
  const scratch = await mkdtemp(`${session.scratch}/writable-`);
  const root = openDirectory(posix.dirname(source));
  try {
    if (!isDirectory(root, posix.basename(source))) {
      await copyFile(source, `${scratch}/file`);
      return bind(`${scratch}/file`, destination, false);
    }
  } finally {
    closeFd(root);
  }
  await mkdir(`${scratch}/upper`);
  await mkdir(`${scratch}/work`);
  const escaped = source.replace(/[:\\]/g, '\\$&');
  return {
    destination,
    type: 'overlay',
    source: 'overlay',
    options: [`lowerdir=${escaped}`, `upperdir=${scratch}/upper`, `workdir=${scratch}/work`, 'volatile'],
  };
}

async function seed(session: BuildSession, mount: TreeMount, origin: SourceOrigin, directory: string): Promise<void> {
  const root = openDirectory(directory);
  try {
    await origin.use((tree) =>
      copySelection(
        tree,
        selectSources(tree, [mount.source || '/']),
        { root, path: '/', directory: true },
        session.signal,
      ),
    );
  } finally {
    closeFd(root);
  }
}
