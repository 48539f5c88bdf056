import type { Builder } from '#builder/index.ts';
import type { RegistryClient } from '#distribution/index.ts';
import type { Containers, Events, Storage } from '#engine/index.ts';
import type { Images } from '#images/index.ts';
import type { Networks } from '#network/index.ts';
import type { Volumes } from '#volumes/index.ts';

/** What the API stands on. */
export interface ApiDeps {
  readonly containers: Containers;
  readonly images: Images;
  readonly networks: Networks;
  readonly volumes: Volumes;
  readonly registry: RegistryClient;
  readonly builder: Builder;
  readonly storage: Storage;
  readonly events: Events;
  readonly host: HostFacts;
  /** Where an error after the reply's head was sent is told. */
  readonly onError: (error: unknown, about: string) => void;
}

/** What `info` and `version` say of this engine. */
export interface HostFacts {
  readonly id: string;
  readonly dataRoot: string;
  readonly storageDriver: string;
  readonly runtimes: Readonly<Record<string, string>>;
  readonly defaultRuntime: string;
  readonly loggingDriver: string;
  readonly cgroupVersion: '1' | '2';
  readonly version: string;
  /** What is told of the daemon's own configuration, e.g. a socket that is open to everybody. */
  readonly warnings: readonly string[];
}
