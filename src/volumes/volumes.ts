/**
 * Named volumes: directories `<root>/<name>/_data` with a row in the database. One with options is a filesystem of its own,
 * mounted there while a container that uses it runs; a bind of a directory is that directory itself.
 * A container `use`s a volume from its creation to its removal, and has it `mount`ed from its start to its end.
 */
export interface Volumes {
  /**
   * Takes back what containers that ended without us had mounted, and what such used as never came to be. Before anything
   * else. Of the containers that there are, `live` run.
   */
  open(live: ReadonlySet<string>, containers: ReadonlySet<string>): void;
  /** One that is there already is returned as it is. @throws GantryError invalid, unsupported, conflict (other options) */
  create(options: CreateVolume): Promise<Volume>;
  get(name: string): Volume | undefined;
  list(): readonly Volume[];
  /** @throws GantryError not-found, conflict (in use, says by whom) */
  remove(name: string): Promise<void>;
  /** The bytes its files take on the disk. */
  size(name: string): Promise<number>;
  /** The containers that use it. */
  usersOf(name: string): readonly string[];
  /** Records that a container uses it (idempotent); `release` drops all uses of one container. */
  use(name: string, containerId: string): void;
  release(containerId: string): void;
  /** Where its files are, for a container that starts; until `unmount`. @throws GantryError not-found, invalid, SyscallError */
  mount(name: string, containerId: string): Promise<string>;
  /** Ends all that a container has mounted; idempotent. */
  unmount(containerId: string): void;
}

export interface CreateVolume {
  readonly name?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** `type`, `device` and `o` as mount(8) knows them. */
  readonly options?: Readonly<Record<string, string>>;
}

export interface Volume {
  readonly name: string;
  readonly path: string;
  readonly created: string;
  readonly anonymous: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
}
