import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { GantryError } from '#errors/index.ts';
import { checkPlatform, hostPlatform, platformFit, platformText } from '#images/index.ts';
import { cgroupPathOf } from './cgroup-path.ts';
import { releaseMounts, resolveMounts } from './container-mounts.ts';
import { attachmentsOf } from './container-network.ts';
import type { Context } from './context.ts';
import type { Container, ContainerOptions, Containers } from './engine.ts';
import { checkLinks } from './legacy-links.ts';
import { chooseLogging } from './logging/log-options.ts';
import { generateName } from './names.ts';
import { portRequests } from './published-ports.ts';
import { signalNumber } from './signals.ts';
import { impossibleCapabilities } from './spec/capabilities.ts';
import { checkLimits } from './spec/check-limits.ts';
import { thisMachine } from './spec/machine.ts';
import { composeSpec } from './spec/runtime-spec.ts';
import { allocateUserRange } from './subordinate-ids.ts';

/** @throws GantryError invalid, conflict (code `name-in-use`), naming who holds it */
export function checkName(context: Context, name: string): void {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name))
    throw new GantryError('invalid', `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
  const holder = context.store.byName(name);
  if (holder !== undefined)
    throw new GantryError(
      'conflict',
      `Conflict. The container name "/${name}" is already in use by container "${holder.id}". You have to remove (or rename) that container to be able to reuse that name.`,
      { code: 'name-in-use' },
    );
}

/** Makes a container's row, diff and directory; no process, nothing in the kernel. What fails leaves nothing. */
export async function createContainer(context: Context, asked: ContainerOptions): ReturnType<Containers['create']> {
  const { images, driver, options, store } = context;
  const { options: checked, warnings } = checkLimits(asked, thisMachine().limits);
  const request = { ...checked, logging: chooseLogging(asked.logging, options.logging) };
  const image = await images.get(request.image);
  checkPlatform(image.config, request.platform, request.image);
  const id = randomBytes(32).toString('hex');
  if (request.name !== undefined) checkName(context, request.name);
  context.runtimeOf({ options: request });
  const attached = attachmentsOf(context, request);
  checkLinks(context, request);
  const userRange = await allocateUserRange(request.userMode, store.all());
  const composed = composeSpec({
    id,
    options: request,
    image: image.config,
    user: undefined,
    mounts: [],
    files: undefined,
    cgroupsPath: cgroupPathOf(options.cgroupParent, request.cgroupParent, id),
  });
  signalNumber(composed.resolved.stopSignal);
  await using _held = await images.hold(image); // until the diff stands on its layers
  await using undo = new AsyncDisposableStack();
  const mounts: Container['mounts'][number][] = [];
  undo.defer(() => releaseMounts(context, id, mounts, true));
  await resolveMounts(context, id, request, composed.resolved.volumes, mounts);
  undo.defer(() => driver.removeDiff(id));
  await driver.createDiff(id, image.chainId, { volatile: request.autoRemove ?? false });
  const home = context.home(id);
  undo.defer(() => rm(home, { recursive: true, force: true }));
  mkdirSync(home, { recursive: true, mode: 0o710 });
  // Chosen in the step that takes it: another create may have come to the same one meanwhile.
  const name = request.name ?? generateName((n) => store.byName(n) !== undefined);
  checkName(context, name); // again: two creates may have raced to here
  const container: Container = {
    id,
    name,
    created: new Date().toISOString(),
    imageId: image.id,
    imageName: request.image,
    imageConfig: image.config,
    options: { ...request, name, ports: portRequests(request, composed.resolved.exposedPorts) },
    state: { status: 'created' },
    restartCount: 0,
    resolved: composed.resolved,
    mounts,
    networks: attached,
    ...(request.logging.driver === 'none'
      ? {}
      : { logPath: `${home}/${request.logging.driver === 'json-file' ? `${id}-json.log` : 'container.log'}` }),
    ...(userRange === undefined ? {} : { userRange }),
    provenance: composed.provenance,
  };
  store.put(container);
  undo.move();
  context.tell(container, 'create');
  return {
    container,
    warnings: [
      ...warnings,
      ...impossibleCapabilities(request, thisMachine().capabilities),
      ...(request.platform === undefined && platformFit(image.config, hostPlatform()) === undefined
        ? [
            `The requested image's platform (${platformText(image.config)}) does not match the detected host platform (${platformText(hostPlatform())}) and no specific platform was requested`,
          ]
        : []),
    ],
  };
}
