import { existsSync } from 'node:fs';
import { isGantryError, messageOf } from '#errors/index.ts';
import type { CheckOptions, StoreProblem, StoreReport } from '#images/index.ts';
import type { StorageDeps } from './storage.ts';

/** Verifies the image store, then that each container has its image, its diff on that image's layers, and its volumes. */
export async function checkStorage(
  { images, containers, driver, volumes, buildCache }: StorageDeps,
  dataRoot: string,
  options: Pick<CheckOptions, 'repair' | 'quick' | 'signal'>,
): Promise<StoreReport> {
  const parents = new Map<string, string | undefined>();
  for await (const { chainId, parent } of driver.layers()) parents.set(chainId, parent);
  const users = new Map<string, string>();
  for (const { id, name, imageId, state } of containers.list()) {
    if (state.status !== 'running' && state.status !== 'paused') continue;
    const image = await images.get(imageId).catch(() => undefined);
    for (let chain = image?.chainId; chain !== undefined; chain = parents.get(chain))
      users.set(chain, `container ${name} (${id.slice(0, 12)})`);
  }
  const known = new Set((await buildCache()).map(({ id }) => id));
  const report = await images.check({ ...options, knownLayers: known, layerUser: (chainId) => users.get(chainId) });

  const problems: StoreProblem[] = [];
  for (const container of containers.list()) {
    const tell = (problem: string) =>
      problems.push({ kind: 'container', subject: `${container.name} (${container.id.slice(0, 12)})`, problem });
    try {
      await images.get(container.imageId);
    } catch (error) {
      if (!isGantryError(error, 'not-found')) throw error;
      tell(`its image ${container.imageId} is gone`);
    }
    try {
      await driver.mounts(container.id);
    } catch (error) {
      tell(`its files cannot be mounted: ${messageOf(error)}`);
    }
    if (!existsSync(`${dataRoot}/containers/${container.id}`)) tell('its directory is gone');
    for (const mount of container.mounts)
      if (mount.type === 'volume' && mount.name !== undefined && volumes.get(mount.name) === undefined)
        tell(`its volume ${mount.name} is gone`);
  }
  for (const volume of volumes.list())
    if (!existsSync(volume.path))
      problems.push({ kind: 'volume', subject: volume.name, problem: `its directory ${volume.path} is gone` });
  return { ...report, problems: [...report.problems, ...problems] };
}
