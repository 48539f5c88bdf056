import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { isGantryError, throwIfAborted } from '#errors/index.ts';
import type { Networks } from '#network/index.ts';
import type { Mount, RuntimeSpec } from '#oci/index.ts';
import type { ContainerRuntime } from '#runtime/index.ts';
import { cgroupPathOf } from './cgroup-path.ts';
import type { ContainerOptions } from './engine.ts';
import { hostsFile, resolvConf } from './network-files.ts';
import { readHostFile } from './read-host-file.ts';
import { readFilesIn } from './rootfs.ts';
import { composeSpec } from './spec/runtime-spec.ts';
import { killIfAlive } from './stop-container.ts';

interface Step {
  readonly diffId: string;
  readonly rootfs: readonly Mount[];
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: string;
  readonly networkMode: string;
  readonly mounts?: readonly Mount[];
  readonly privileged?: boolean;
  readonly extraHosts?: readonly string[];
  readonly limits?: Limits;
}

/** As the container options they are, and the memory nodes. */
type Limits = Pick<
  ContainerOptions,
  | 'cgroupParent'
  | 'memoryBytes'
  | 'memorySwapBytes'
  | 'cpuShares'
  | 'cpuPeriod'
  | 'cpuQuota'
  | 'cpusetCpus'
  | 'shmSizeBytes'
  | 'ulimits'
> & { readonly cpusetMems?: string };

/** What a step has that container options do not say: mounts by path, memory nodes. */
function withStepParts(spec: RuntimeSpec, { mounts = [], limits }: Step): RuntimeSpec {
  const { linux } = spec;
  const mems = limits?.cpusetMems;
  return {
    ...spec,
    mounts: [...(spec.mounts ?? []), ...mounts],
    ...(mems === undefined
      ? {}
      : { linux: { ...linux, resources: { ...linux?.resources, cpu: { ...linux?.resources?.cpu, mems } } } }),
  };
}

/** Runs one build step in the default runtime with the isolation of a container; nothing of it is recorded. */
export function createStepRunner(
  deps: { readonly runtime: ContainerRuntime; readonly networks: Networks },
  options: {
    readonly execRoot: string;
    readonly cgroupParent: string;
    readonly onError: (error: unknown, about: string) => void;
  },
) {
  const root = `${options.execRoot}/steps`;
  return {
    /** Ends the steps of a daemon that is gone: nobody waits for them any more. Before any other runs. */
    async sweep(): Promise<void> {
      for (const id of existsSync(root) ? await readdir(root) : []) {
        await deps.runtime.cleanup(id, `${root}/${id}/task`).catch((error: unknown) => {
          if (!isGantryError(error, 'corrupt')) throw error;
          options.onError(error, `ending the build step ${id}`);
        });
        await rm(`${root}/${id}`, { recursive: true, force: true });
      }
    },

    async run(
      step: Step,
      { onOutput, signal }: { onOutput: (stream: 'stdout' | 'stderr', data: Buffer) => void; signal?: AbortSignal },
    ): Promise<{ exitCode: number }> {
      throwIfAborted(signal);
      const id = randomBytes(32).toString('hex');
      const directory = `${root}/${id}`;
      await mkdir(directory, { recursive: true });
      const bridged = step.networkMode !== 'none' && step.networkMode !== 'host';
      try {
        const endpoint = bridged
          ? await deps.networks.reserve({
              owner: id,
              ownerName: `build step ${id.slice(0, 12)}`,
              network: 'bridge',
              ports: [],
            })
          : undefined;
        const [passwd = '', group = ''] = readFilesIn(step.rootfs, ['/etc/passwd', '/etc/group']);
        const files = {
          hosts: `${directory}/hosts`,
          hostname: `${directory}/hostname`,
          resolvConf: `${directory}/resolv.conf`,
        };
        const hostname = id.slice(0, 12);
        await writeFile(
          files.hosts,
          hostsFile({
            hostname,
            addresses: endpoint === undefined ? [] : [endpoint.address],
            gateway: endpoint?.gateway,
            extraHosts: step.extraHosts ?? [],
          }),
        );
        await writeFile(files.hostname, `${hostname}\n`);
        await writeFile(
          files.resolvConf,
          resolvConf(await readHostFile('/etc/resolv.conf'), { dns: [], search: [], options: [] }),
        );
        const { cpusetMems: _mems, ...limits } = step.limits ?? {};
        const { spec } = composeSpec({
          id,
          options: {
            ...limits,
            ...(step.privileged === true ? { privileged: true } : {}),
            image: '',
            entrypoint: [],
            command: step.args,
            env: step.env,
            workingDir: step.cwd,
            user: step.user,
            networkMode: step.networkMode,
          },
          image: { architecture: '', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } },
          user: { passwd, group },
          mounts: [],
          files,
          cgroupsPath: cgroupPathOf(options.cgroupParent, step.limits?.cgroupParent, id),
        });
        const task = await deps.runtime.create(
          {
            id,
            directory: `${directory}/task`,
            spec: withStepParts(spec, step),
            rootfs: step.rootfs,
            init: false,
            stdio: { terminal: false, stdin: false },
          },
          signal === undefined ? {} : { signal },
        );
        const abort = () => void killIfAlive(task);
        signal?.addEventListener('abort', abort, { once: true });
        try {
          throwIfAborted(signal); // it may have fired while the task was made

          if (endpoint !== undefined) await deps.networks.connect(endpoint, task.pid);
          else if (step.networkMode === 'none') await deps.networks.loopbackOnly(task.pid);
          await using io = await task.attach();
          const output = (async () => {
            for await (const { stream, data } of io.output) onOutput(stream, data);
          })();
          await task.start();
          const { code } = await task.wait();
          await output;
          throwIfAborted(signal);
          return { exitCode: code };
        } finally {
          signal?.removeEventListener('abort', abort);
          await killIfAlive(task);
          await task.wait();
          await task.delete();
        }
      } finally {
        await deps.networks.release(id);
        await rm(directory, { recursive: true, force: true });
      }
    },
  };
}
