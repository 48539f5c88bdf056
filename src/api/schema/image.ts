import { anything, body, choice, flag, integer, list, map, named, object, optional, orNull, text } from './schema.ts';

export const platform = named(
  'OCIPlatform',
  object({
    architecture: text(),
    os: text(),
    'os.version': optional(text()),
    'os.features': optional(list(text())),
    variant: optional(text()),
  }),
);

export const descriptor = named(
  'OCIDescriptor',
  object({
    mediaType: text(),
    digest: text(),
    size: integer('Bytes'),
    urls: optional(list(text())),
    annotations: optional(map(text())),
    platform: optional(platform),
    artifactType: optional(text()),
  }),
);

const manifestSummary = named(
  'ImageManifestSummary',
  object({
    ID: text(),
    Descriptor: descriptor,
    Available: flag('Its content is here'),
    Size: object({ Total: integer(), Content: integer() }),
    Kind: choice(['image', 'attestation', 'unknown']),
    ImageData: optional(
      object({ Platform: platform, Containers: list(text()), Size: object({ Unpacked: integer() }) }),
    ),
    AttestationData: optional(object({ For: text() })),
  }),
);

export const imageSummary = named(
  'ImageSummary',
  object({
    Id: text(),
    ParentId: text(),
    RepoTags: list(text()),
    RepoDigests: list(text()),
    Created: integer('Seconds since 1970'),
    Size: integer('Bytes'),
    SharedSize: integer('Bytes that other images have too; -1 where nobody asked'),
    Labels: orNull(map(text())),
    Containers: integer(),
    Descriptor: optional(descriptor),
    Manifests: optional(list(manifestSummary)),
  }),
);

export const healthConfig = named(
  'HealthConfig',
  body({
    Test: list(text()),
    Interval: integer('Nanoseconds, as the next three'),
    Timeout: integer(),
    StartPeriod: integer(),
    StartInterval: integer(),
    Retries: integer(),
  }),
);

export const imageInspect = named(
  'ImageInspect',
  object({
    Id: text(),
    Descriptor: optional(descriptor),
    Manifests: optional(list(manifestSummary)),
    RepoTags: list(text()),
    RepoDigests: list(text()),
    Comment: optional(text()),
    Created: optional(text()),
    Author: optional(text()),
    Config: object({
      User: optional(text()),
      ExposedPorts: optional(map(anything())),
      Env: optional(list(text())),
      Cmd: optional(list(text())),
      Healthcheck: optional(healthConfig),
      ArgsEscaped: optional(flag()),
      Volumes: optional(map(anything())),
      WorkingDir: optional(text()),
      Entrypoint: optional(list(text())),
      OnBuild: optional(list(text())),
      Labels: optional(map(text())),
      StopSignal: optional(text()),
      Shell: optional(list(text())),
    }),
    Architecture: text(),
    Variant: optional(text()),
    Os: text(),
    OsVersion: optional(text()),
    Size: integer('Bytes'),
    GraphDriver: object({ Name: text(), Data: map(text()) }),
    RootFS: object({ Type: text(), Layers: list(text()) }),
    Metadata: object({ LastTagTime: text() }),
  }),
);

export const historyItem = named(
  'ImageHistoryResponseItem',
  object({
    Id: text(),
    Created: integer(),
    CreatedBy: text(),
    Tags: orNull(list(text())),
    Size: integer(),
    Comment: text(),
  }),
);

const deleteItem = named('ImageDeleteResponseItem', object({ Untagged: optional(text()), Deleted: optional(text()) }));
export const imagesDeleted = list(deleteItem);
export const imagesPruned = object({
  ImagesDeleted: orNull(list(deleteItem)),
  SpaceReclaimed: integer('Bytes'),
});

export const searchResult = object({
  name: text(),
  description: text(),
  star_count: integer(),
  is_official: flag(),
  is_automated: flag('Always false'),
});

export const distributionInspect = named(
  'DistributionInspect',
  object({ Descriptor: descriptor, Platforms: list(platform) }),
);

export const attestation = named(
  'AttestationStatement',
  object({ Descriptor: descriptor, PredicateType: text(), Statement: optional(anything()) }),
);

/** A line of what pulls, pushes, loads, imports and builds answer with. */
export const progressLine = named(
  'ProgressLine',
  object({
    id: optional(text()),
    status: optional(text()),
    stream: optional(text()),
    progress: optional(text()),
    progressDetail: optional(object({ current: optional(integer()), total: optional(integer()) })),
    aux: optional(anything('What came of it')),
    errorDetail: optional(object({ code: optional(integer()), message: text() })),
    error: optional(text()),
    step: optional(anything('Of a build, where steps are asked for')),
    warning: optional(anything('Of a build, where steps are asked for')),
  }),
);
