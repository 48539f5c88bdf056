import { GantryError } from '#errors/index.ts';
import { createErofsDriver } from './erofs-driver.ts';
import { erofsSupported } from './erofs-support.ts';
import type { GraphDriver } from './graph-driver.ts';
import { overlaySupported } from './overlay-support.ts';
import { createOverlay2Driver } from './overlay2-driver.ts';
import { createVfsDriver } from './vfs-driver.ts';

export const driverNames = ['overlay2', 'erofs', 'vfs'] as const;
export type DriverName = (typeof driverNames)[number];

export const isDriverName = (name: string): name is DriverName => driverNames.some((known) => known === name);

/** What every driver is opened with: its own directory. */
export const graphDrivers: Readonly<Record<DriverName, (options: { readonly root: string }) => Promise<GraphDriver>>> =
  {
    overlay2: createOverlay2Driver,
    erofs: createErofsDriver,
    vfs: createVfsDriver,
  };

/**
 * Opens the driver that was asked for, or overlay2 where the file system can have it, and vfs where not. Each keeps what it
 * has in a directory of its name in the data root.
 * @throws GantryError unsupported (the kernel or the file system cannot do it), and as the drivers
 */
export async function openGraphDriver(dataRoot: string, asked: DriverName | undefined): Promise<GraphDriver> {
  if (asked === 'erofs' && !(await erofsSupported(dataRoot)))
    throw new GantryError(
      'unsupported',
      `the storage driver erofs needs Linux 6.15 with EROFS mounts from files, and a data root on a disk's own file system; ${dataRoot} has not both. overlay2 and vfs work without`,
    );
  const name = asked ?? ((await overlaySupported(dataRoot)) ? 'overlay2' : 'vfs');
  return await graphDrivers[name]({ root: `${dataRoot}/${name}` });
}
