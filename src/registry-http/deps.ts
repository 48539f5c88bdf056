import type {
  Access,
  AccessTokens,
  Accounts,
  AuditLog,
  Blobs,
  Board,
  Credentials,
  Invitations,
  Manifests,
  Mirrors,
  Organisations,
  PersonalTokens,
  PullCounter,
  Quotas,
  Repositories,
  Tags,
  Uploads,
  Webhooks,
} from '#registry/index.ts';

/** What the hub's HTTP edge needs. */
export interface HubDeps {
  readonly accounts: Accounts;
  readonly credentials: Credentials;
  readonly personalTokens: PersonalTokens;
  readonly invitations: Invitations;
  readonly organisations: Organisations;
  readonly tokens: AccessTokens;
  readonly access: Access;
  readonly quotas: Quotas;
  readonly repositories: Repositories;
  readonly blobs: Blobs;
  readonly uploads: Uploads;
  readonly manifests: Manifests;
  readonly tags: Tags;
  readonly pulls: PullCounter;
  readonly mirrors: Mirrors;
  readonly webhooks: Webhooks;
  readonly board: Board;
  readonly audit: AuditLog;
  /**
   * Host names that stand for a registry of their own, all of whose names lie in a mirror's namespace: what Docker wants of
   * its `registry-mirrors`.
   */
  readonly mirrorHosts: ReadonlyMap<string, string>;
  /** Who makes accounts on the page: anyone, who has an invitation, or only whoever runs the hub, and not there. */
  readonly signUp: 'open' | 'invite' | 'closed';
  /** The directory of the built pages. */
  readonly pages: string;
  /** Whether the hub can do its work at this moment; what it lacks where it cannot. */
  readonly ready: () => Promise<string | undefined>;
  /** Told of each failure that is the hub's own. */
  readonly onError: (error: unknown, about: string) => void;
}
