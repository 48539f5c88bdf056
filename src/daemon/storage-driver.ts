import { existsSync } from 'node:fs';
import { readdir, rename } from 'node:fs/promises';
import { GantryError, isGantryError } from '#errors/index.ts';
import { closeFd, openDirectory, removeTree, syncFd, syncFileSystem } from '#linux/index.ts';
import { type DriverName, driverNames, type GraphDriver, graphDrivers, openGraphDriver } from '#snapshots/index.ts';

export interface StorageChoice {
  readonly dataRoot: string;
  readonly asked: DriverName | undefined;
  /** Whether what another driver has is moved to the one that is asked for. */
  readonly migrate: boolean;
  /** Copies all of one driver to another. */
  readonly move: (from: GraphDriver, to: GraphDriver) => Promise<void>;
  readonly log: (level: string, text: string) => void;
}

/**
 * Opens the graph driver of a data root: the one that is asked for, or that has something there, or overlay2, or vfs. One data
 * root is one driver's; with `migrate` all that another has is moved first. That is done in `<driver>.part`, which takes its
 * place by renames that an interrupted start carries on, so that it is either the old or the new one that counts.
 * @throws GantryError conflict (another driver has layers there), and as openGraphDriver
 */
export async function openStorage({ dataRoot, asked, migrate, move, log }: StorageChoice): Promise<GraphDriver> {
  await finishSwitch(dataRoot);
  const present = await presentDriver(dataRoot);
  if (asked === undefined || present === undefined || present === asked)
    return await openGraphDriver(dataRoot, asked ?? present);
  if (!migrate)
    throw new GantryError(
      'conflict',
      `images and containers in ${dataRoot} are stored by ${present}, not ${asked}; add --migrate-storage to move them, or ask for ${present}`,
    );
  log('info', `moving images and containers from ${present} to ${asked}`);
  await (await openGraphDriver(dataRoot, asked))[Symbol.asyncDispose](); // says whether it can be had here
  const from = await graphDrivers[present]({ root: `${dataRoot}/${present}` });
  const to = await graphDrivers[asked]({ root: `${dataRoot}/${asked}.part` });
  await move(from, to);
  await Promise.all([from[Symbol.asyncDispose](), to[Symbol.asyncDispose]()]);
  await withDirectory(dataRoot, syncFileSystem);
  await rename(`${dataRoot}/${present}`, `${dataRoot}/${present}.moved`);
  await finishSwitch(dataRoot);
  log('info', `images and containers are stored by ${asked} now`);
  return await openGraphDriver(dataRoot, asked);
}

/** What a driver's directory must have to be the one in use. */
async function presentDriver(dataRoot: string): Promise<DriverName | undefined> {
  for (const name of driverNames)
    for (const kind of ['layers', 'diffs'])
      if (existsSync(`${dataRoot}/${name}/${kind}`) && (await readdir(`${dataRoot}/${name}/${kind}`)).length > 0)
        return name;
  return undefined;
}

/** Once the old one has been put aside, the new one takes its place and the old one goes. */
async function finishSwitch(dataRoot: string): Promise<void> {
  for (const old of driverNames.filter((name) => existsSync(`${dataRoot}/${name}.moved`))) {
    for (const name of driverNames.filter((name) => existsSync(`${dataRoot}/${name}.part`))) {
      await remove(dataRoot, name); // empty: it was only tried
      await rename(`${dataRoot}/${name}.part`, `${dataRoot}/${name}`);
    }
    await withDirectory(dataRoot, syncFd);
    await remove(dataRoot, `${old}.moved`);
  }
}

const remove = (dataRoot: string, name: string): Promise<void> =>
  withDirectory(dataRoot, async (fd) => {
    try {
      await removeTree(fd, name);
    } catch (error) {
      if (!isGantryError(error, 'not-found')) throw error;
    }
  });

async function withDirectory<T>(path: string, use: (fd: number) => Promise<T>): Promise<T> {
  const fd = openDirectory(path);
  try {
    return await use(fd);
  } finally {
    closeFd(fd);
  }
}
