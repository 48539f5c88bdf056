import { closeSync, mkdtempSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { DatabaseSync } from 'node:sqlite';
import { Readable } from 'node:stream';
import { type BuilderOptions, type BuildRequest, createBuilder, type StepRunner } from '#builder/index.ts';
import { createContentStore } from '#content/index.ts';
import { createRegistryClient } from '#distribution/index.ts';
import { createImages, type Image } from '#images/index.ts';
import { mountDetached } from '#linux/index.ts';
import { createMountPoints, createOverlay2Driver } from '#snapshots/index.ts';
import { type NewTarHeader, packEntries } from '#tar/index.ts';
import { busyboxRootfs } from '../harness/images.ts';
import { createChrootSteps } from './chroot-steps.ts';

/** A context: name → text or bytes, or a whole header with an optional body. */
export type Context = Readonly<
  Record<string, string | Buffer | (Omit<NewTarHeader, 'name'> & { readonly body?: string })>
>;

export interface Built {
  readonly image: Image;
  readonly output: string;
  /** Commands that were really run by this build. */
  readonly ran: readonly string[];
}

/** A tar of a context. */
export const contextTar = (context: Context): Readable =>
  Readable.from(
    packEntries(
      Object.entries(context).map(([name, entry]) => {
        const { body = '', ...header } =
          typeof entry === 'string' || Buffer.isBuffer(entry) ? { body: entry, type: 'file' as const } : entry;
        const content = Buffer.from(body);
        return { header: { ...header, name, size: content.length }, body: content };
      }),
    ),
  );

/** A builder on a real store, overlay2 and the image `busybox`, in a root of its own; `runner` runs its steps. */
export async function openWorkbench(
  runner?: (db: DatabaseSync, root: string) => StepRunner,
  options: BuilderOptions = {},
) {
  const root = mkdtempSync(`${tmpdir()}/gantry-build-`);
  const db = new DatabaseSync(`${root}/gantry.db`);
  const content = await createContentStore({ root: `${root}/content` });
  const driver = await createOverlay2Driver({ root: `${root}/overlay2` });
  const registry = createRegistryClient();
  const images = await createImages({ db, content, driver, registry });
  const steps = createChrootSteps(root);
  const mountPoints = createMountPoints(`${root}/mount-points`);
  const running = runner?.(db, root) ?? steps;
  const builder = createBuilder(
    { db, images, content, driver, steps: running, mountPoints, root: `${root}/builder` },
    options,
  );
  await images.import(Readable.from([busyboxRootfs()]), { reference: 'busybox:latest' });

  return {
    root,
    driver,
    images,
    builder,
    content,
    steps,
    /** Output so far of the build that runs, or of the last one. */
    output: '',
    async build(
      context: Context,
      options: Partial<BuildRequest> & { readonly signal?: AbortSignal; readonly onText?: (text: string) => void } = {},
    ): Promise<Built> {
      const { signal, onText, ...request } = options;
      const before = steps.ran.length;
      this.output = '';
      const { imageId } = await builder.build(
        {
          context: contextTar(context),
          dockerfile: 'Dockerfile',
          tags: [],
          buildArgs: {},
          labels: {},
          noCache: false,
          pull: false,
          credentials: {},
          ...request,
        },
        {
          onOutput: (event) => {
            if (!('stream' in event)) return;
            this.output += event.stream;
            onText?.(event.stream);
          },
          ...(signal === undefined ? {} : { signal }),
        },
      );
      return { image: await images.get(imageId), output: this.output, ran: steps.ran.slice(before) };
    },
    /** Looks into an image's root filesystem: a path that node:fs can read, gone after `look`. */
    async look<T>(image: Image, look: (path: string) => T): Promise<T> {
      const chainId = image.chainId;
      if (chainId === undefined) throw new Error('the image has no layers');
      const fd = mountDetached(await driver.view(chainId));
      try {
        return look(`/proc/self/fd/${fd}`);
      } finally {
        closeSync(fd);
      }
    },
    /** What a build that ended may not leave: contexts, diffs, mounts, open directories of its own. */
    async leftovers(): Promise<readonly string[]> {
      const diffs = await Array.fromAsync(driver.diffs());
      const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
        .split('\n')
        .filter((line) => line.includes(root));
      const open = readdirSync('/proc/self/fd').flatMap((fd) => {
        try {
          const target = readlinkSync(`/proc/self/fd/${fd}`);
          // A detached mount's root has no path.
          return target === '/' || target.startsWith(`${root}/builder`) ? [`fd ${target}`] : [];
        } catch {
          return []; // it was the listing's own
        }
      });
      return [...readdirSync(`${root}/builder/builds`), ...diffs, ...mounts, ...open];
    },
    async [Symbol.asyncDispose]() {
      registry[Symbol.dispose]();
      db.close();
      await rm(root, { recursive: true, force: true });
    },
  };
}

export type Workbench = Awaited<ReturnType<typeof openWorkbench>>;
