/** What the hub's JSON API answers (src/registry-http/pages/). Times are ISO 8601, sizes bytes. */
export type Role = 'reader' | 'contributor' | 'writer' | 'owner';
export const roles: readonly Role[] = ['reader', 'contributor', 'writer', 'owner'];

export interface Session {
  readonly account: {
    readonly name: string;
    readonly admin: boolean;
    readonly defaultPrivate: boolean;
    readonly organisations: readonly { readonly name: string; readonly role: Role }[];
  } | null;
  readonly signUp: 'open' | 'invite' | 'closed';
}

export interface Tag {
  readonly name: string;
  readonly digest: string;
  readonly mediaType: string;
  readonly size: number;
  readonly updated: string;
}

export interface RepositoryCard {
  readonly name: string;
  readonly owner: string;
  readonly private: boolean;
  readonly immutable: boolean;
  readonly updated: string;
  readonly pulls: number;
  readonly tags: readonly Tag[];
}

export interface RepositoryList {
  readonly repositories: readonly RepositoryCard[];
  readonly more: boolean;
}

export interface RepositoryView extends RepositoryCard {
  readonly readme: string;
  readonly actions: readonly ('pull' | 'create' | 'overwrite' | 'delete' | 'manage')[];
  readonly perDay: readonly number[];
}

export interface Layer {
  readonly digest: string;
  readonly mediaType: string;
  readonly size: number;
}

export interface ImageView {
  readonly digest: string;
  readonly mediaType: string;
  readonly size: number;
  readonly tags: readonly string[];
  readonly artifactType?: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly platforms: readonly { readonly digest: string; readonly platform: string; readonly size: number }[];
  readonly steps: readonly { readonly instruction: string; readonly created?: string; readonly layer?: Layer }[];
  readonly config: Readonly<Record<string, unknown>>;
  readonly referrers: readonly { readonly digest: string; readonly size: number; readonly artifactType: string }[];
}

export interface AccountView {
  readonly name: string;
  readonly kind: 'user' | 'org';
  readonly about: string;
  readonly created: string;
  readonly role: Role | null;
  readonly usage?: { readonly bytes: number; readonly repositories: number };
  readonly quota?: { readonly bytes?: number; readonly repositories?: number };
}

export interface OrganisationView {
  readonly name: string;
  readonly about: string;
  readonly defaultPrivate: boolean;
  readonly role: Role;
  readonly members: readonly { readonly account: string; readonly role: Role }[];
  readonly teams: readonly {
    readonly name: string;
    readonly members: readonly string[];
    readonly grants: readonly { readonly repository: string; readonly role: Role }[];
  }[];
  readonly invitations: readonly {
    readonly id: number;
    readonly role: Role;
    readonly uses: number;
    readonly expires: string;
  }[];
}

export interface PersonalToken {
  readonly id: number;
  readonly name: string;
  readonly scope: string;
  readonly repository: string | null;
  readonly created: string;
  readonly expires: string | null;
  readonly used: string | null;
}

export interface Post {
  readonly id: number;
  readonly author: string;
  readonly word: string;
  readonly created: string;
  readonly comments: readonly {
    readonly id: number;
    readonly author: string;
    readonly text: string;
    readonly created: string;
  }[];
  readonly reactions: readonly { readonly emoji: string; readonly by: readonly string[] }[];
  readonly image: {
    readonly repository: string;
    readonly tag: string;
    readonly digest?: string;
    readonly size?: number;
    readonly pulls?: number;
  };
}

export interface Records {
  readonly entries: readonly {
    readonly time: string;
    readonly actor: string;
    readonly action: string;
    readonly subject: string;
    readonly address: string;
  }[];
}

export interface AdminAccounts {
  readonly accounts: readonly {
    readonly name: string;
    readonly kind: 'user' | 'org';
    readonly admin: boolean;
    readonly created: string;
    readonly usage: { readonly bytes: number; readonly repositories: number };
    readonly quota: { readonly bytes: number | null; readonly repositories: number | null };
  }[];
}
