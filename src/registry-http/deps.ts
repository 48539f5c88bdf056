import type {
  Access,
  AccessTokens,
  Accounts,
  Blobs,
  Credentials,
  Manifests,
  Repositories,
  Tags,
  Uploads,
} from '#registry/index.ts';

/** What the hub's HTTP edge needs. */
export interface HubDeps {
  readonly accounts: Accounts;
  readonly credentials: Credentials;
  readonly tokens: AccessTokens;
  readonly access: Access;
  readonly repositories: Repositories;
  readonly blobs: Blobs;
  readonly uploads: Uploads;
  readonly manifests: Manifests;
  readonly tags: Tags;
  /** Whether the page makes accounts, or only whoever runs the hub does. */
  readonly signUp: 'open' | 'closed';
  /** The directory of the static pages. */
  readonly pages: string;
  /** Told of each failure that is the hub's own. */
  readonly onError: (error: unknown, about: string) => void;
}
