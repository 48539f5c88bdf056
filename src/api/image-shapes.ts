import type { Image } from '#images/index.ts';

/** One image as the listing shows it. `shared`: bytes that other images have too, -1 where nobody asked. */
export const imageSummary = (image: Image, containers: number, shared = -1) => ({
  Id: image.id,
  ParentId: '',
  RepoTags: image.tags,
  RepoDigests: image.repoDigests,
  Created: Math.floor(Date.parse(image.config.created ?? '1970-01-01T00:00:00Z') / 1000),
  Size: image.size,
  SharedSize: shared,
  Labels: image.config.config?.Labels ?? null,
  Containers: containers,
  Descriptor: image.manifest,
});

/** The one manifest that an image has here, as an index would list it. */
export const manifestSummary = (image: Image, containers: readonly string[]) => {
  const { os, architecture, variant } = image.config;
  const content = image.manifest.size + image.layers.reduce((sum, { size }) => sum + size, 0);
  return {
    ID: image.manifest.digest,
    Descriptor: image.manifest,
    Available: true,
    Size: { Total: content + image.size, Content: content },
    Kind: 'image',
    ImageData: {
      Platform: { architecture, os, ...(variant === undefined ? {} : { variant }) },
      Containers: containers,
      Size: { Unpacked: image.size },
    },
  };
};

const filled = <T extends object>(fields: T): Partial<T> =>
  Object.fromEntries(
    Object.entries(fields).filter(
      ([, value]) =>
        value !== '' &&
        value !== null &&
        value !== undefined &&
        !(typeof value === 'object' && Object.keys(value).length === 0),
    ),
  ) as Partial<T>;

/** `docker image inspect`: what is empty is left out. */
export const imageInspection = (image: Image, driver: string) => ({
  Id: image.id,
  RepoTags: image.tags,
  RepoDigests: image.repoDigests,
  ...filled({
    Comment: image.config.history?.at(-1)?.comment,
    Created: image.config.created,
    Author: image.config.author,
  }),
  Config: filled(image.config.config ?? {}),
  Architecture: image.config.architecture,
  ...(image.config.variant === undefined ? {} : { Variant: image.config.variant }),
  Os: image.config.os,
  Size: image.size,
  GraphDriver: { Name: driver, Data: {} },
  RootFS: { Type: 'layers', Layers: image.config.rootfs.diff_ids },
  Metadata: { LastTagTime: '0001-01-01T00:00:00Z' },
  Descriptor: image.manifest,
});

/** `docker history`: the steps that made an image, the last first, with the bytes each unpacked to. */
export function imageHistory(image: Image, layerSizes: readonly number[]) {
  let layer = image.layers.length;
  return (image.config.history ?? []).toReversed().map((entry, index) => ({
    Id: index === 0 ? image.id : '<missing>',
    Created: Math.floor(Date.parse(entry.created ?? '1970-01-01T00:00:00Z') / 1000),
    CreatedBy: entry.created_by ?? '',
    Tags: index === 0 ? image.tags : null,
    Size: entry.empty_layer ? 0 : (layerSizes[--layer] ?? 0),
    Comment: entry.comment ?? '',
  }));
}
