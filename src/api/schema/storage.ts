import { body, choice, integer, list, map, named, object, optional, orNull, text } from './schema.ts';

export const volume = named(
  'Volume',
  object({
    CreatedAt: text(),
    Driver: text(),
    Labels: orNull(map(text())),
    Mountpoint: text(),
    Name: text(),
    Options: orNull(map(text())),
    Scope: choice(['local']),
    UsageData: optional(object({ Size: integer('Bytes'), RefCount: integer() })),
  }),
);

export const volumeBody = named(
  'VolumeCreateRequest',
  body({
    Name: text(),
    Driver: text(),
    DriverOpts: map(text()),
    Labels: map(text()),
    ClusterVolumeSpec: map({ json: {} }),
  }),
);

export const volumeList = named(
  'VolumeListResponse',
  object({ Volumes: list(volume), Warnings: orNull(list(text())) }),
);

/** What a prune tells: names under one key, bytes under the other. */
export const volumesPruned = object({ VolumesDeleted: list(text()), SpaceReclaimed: integer('Bytes') });
export const containersPruned = object({ ContainersDeleted: list(text()), SpaceReclaimed: integer('Bytes') });
export const cachesPruned = object({ CachesDeleted: list(text()), SpaceReclaimed: integer('Bytes') });
export const networksPruned = object({ NetworksDeleted: list(text()) });
