/** Named volumes: directories `<root>/<name>/_data` with a row in the database. */
export interface Volumes {
  create(options: { name?: string; labels?: Readonly<Record<string, string>> }): Promise<Volume>;
  get(name: string): Volume | undefined;
  list(): readonly Volume[];
  /** @throws GantryError not-found, conflict (in use, says by whom) */
  remove(name: string): Promise<void>;
  /** Records that a container uses it (idempotent); `release` drops all uses of one container. */
  use(name: string, containerId: string): void;
  release(containerId: string): void;
}

export interface Volume {
  readonly name: string;
  readonly path: string;
  readonly created: string;
  readonly anonymous: boolean;
  readonly labels: Readonly<Record<string, string>>;
}
