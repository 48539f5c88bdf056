import { GantryError } from '#errors/index.ts';
import type { IsolationBody } from './isolation-options.ts';

/** What HostConfig has for Windows, for other storage and for volume plugins. @throws GantryError, in Docker's words where it has some */
export function refuseForeignFields(host: IsolationBody): void {
  const { Isolation = '', IOMaximumIOps, IOMaximumBandwidth, VolumeDriver = '' } = host;
  if (Isolation !== '' && Isolation !== 'default')
    throw new GantryError('invalid', `Invalid isolation: "${Isolation}" - linux only supports 'default'`);
  if (IOMaximumBandwidth)
    throw new GantryError(
      'invalid',
      `Invalid QoS settings: linux does not support configuration of maximum bandwidth (IOMaximumBandwidth: ${IOMaximumBandwidth})`,
    );
  if (IOMaximumIOps)
    throw new GantryError(
      'invalid',
      `Invalid QoS settings: linux does not support configuration of maximum IOPs (IOMaximumIOps: ${IOMaximumIOps})`,
    );
  if (VolumeDriver !== '' && VolumeDriver !== 'local') throw unknownVolumeDriver(VolumeDriver);
  for (const [name, value] of Object.entries(host.StorageOpt ?? {})) {
    if (name !== 'size') throw new GantryError('invalid', `Unknown option ${name} of --storage-opt; known is size`);
    throw new GantryError(
      'unsupported',
      `--storage-opt is supported only for overlay over xfs with 'pquota' mount option, which Gantry does not use yet: size=${value} cannot be held`,
    );
  }
}

/** As Docker says it of one that no plugin brings. */
export const unknownVolumeDriver = (name: string): GantryError =>
  new GantryError(
    'not-found',
    `error looking up volume plugin ${name}: plugin "${name}" not found; volumes are of the driver "local"`,
  );
