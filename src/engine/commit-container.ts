import { GantryError } from '#errors/index.ts';
import type { Image } from '#images/index.ts';
import { type ImageRunConfig, parseReference } from '#oci/index.ts';
import type { Container } from './engine.ts';
import type { StorageDeps } from './storage.ts';

export interface CommitRequest {
  readonly references: readonly string[];
  readonly author?: string;
  readonly comment?: string;
  /** Pauses a running container meanwhile, so that its files are of one moment. */
  readonly pause: boolean;
  /** Changes the configuration that the image gets. */
  readonly configure?: (config: ImageRunConfig) => ImageRunConfig;
  readonly signal?: AbortSignal;
}

/** What the container ran with, as an image says it. */
export function committedConfig({ resolved, options, imageConfig }: Container): ImageRunConfig {
  const names = (values: readonly string[]) => Object.fromEntries(values.map((value) => [value, {}]));
  return {
    ...imageConfig.config,
    Env: resolved.env,
    ...(resolved.command.length === 0 ? {} : { Cmd: resolved.command }),
    ...(resolved.entrypoint.length === 0 ? {} : { Entrypoint: resolved.entrypoint }),
    ...(resolved.user === '' ? {} : { User: resolved.user }),
    ...(resolved.workingDir === '' ? {} : { WorkingDir: resolved.workingDir }),
    ...(resolved.exposedPorts.length === 0 ? {} : { ExposedPorts: names(resolved.exposedPorts) }),
    ...(resolved.volumes.length === 0 ? {} : { Volumes: names(resolved.volumes) }),
    Labels: resolved.labels,
    StopSignal: resolved.stopSignal,
    ...(options.shell === undefined ? {} : { Shell: options.shell }),
    ...(options.onBuild === undefined ? {} : { OnBuild: options.onBuild }),
    ...(options.healthcheck === undefined ? {} : { Healthcheck: options.healthcheck }),
  };
}

/** A container's changes as one more layer on those of its image. */
export async function commitContainer(
  { images, containers, driver }: Pick<StorageDeps, 'images' | 'containers' | 'driver'>,
  nameOrId: string,
  request: CommitRequest,
): Promise<Image> {
  const container = containers.get(nameOrId);
  const base = await images.get(container.imageId);
  // First what may be refused: a layer that was packed for nothing stays until the engine ends.
  const ran = committedConfig(container);
  const config = request.configure?.(ran) ?? ran;
  for (const reference of request.references) parseReference(reference);
  const { signal } = request;
  const abortable = signal === undefined ? {} : { signal };
  await using _held = await images.hold(base);
  const pauses = request.pause && container.state.status === 'running';
  if (pauses) await containers.pause(container.id);
  let layer: Awaited<ReturnType<typeof images.addLayer>>;
  try {
    layer = await images.addLayer(await driver.diff(container.id), abortable);
  } finally {
    if (pauses) await unpause(containers, container.id);
  }
  const created = new Date().toISOString();
  return await images.create(
    {
      config: {
        ...base.config,
        created,
        ...(request.author === undefined ? {} : { author: request.author }),
        config,
        rootfs: { type: 'layers', diff_ids: [...base.config.rootfs.diff_ids, layer.diffId] },
        history: [
          ...(base.config.history ?? []),
          {
            created,
            created_by: container.resolved.command.join(' ') || container.resolved.path,
            ...(request.author === undefined ? {} : { author: request.author }),
            ...(request.comment === undefined ? {} : { comment: request.comment }),
          },
        ],
      },
      layers: [...base.layers, layer.descriptor],
      references: request.references,
    },
    abortable,
  );
}

/** Somebody may have ended or woken it meanwhile. */
async function unpause(containers: StorageDeps['containers'], id: string): Promise<void> {
  try {
    await containers.unpause(id);
  } catch (error) {
    if (!(error instanceof GantryError) || (error.kind !== 'conflict' && error.kind !== 'not-found')) throw error;
  }
}
