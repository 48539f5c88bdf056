import type { Scope } from '#registry/index.ts';

/** Reads one `type:name:action,action`; the name may hold colons. Undefined where it has no such form (token scope grammar). */
export function parseScope(text: string): Scope | undefined {
  const match = /^([a-z0-9]+(?:\([a-z0-9]+\))?):(.+):([a-z*]+(?:,[a-z*]+)*)$/.exec(text);
  if (match === null || text.length > 400) return undefined;
  const [, type = '', name = '', actions = ''] = match;
  return { type, name, actions: actions.split(',') };
}

export const formatScope = ({ type, name, actions }: Scope): string => `${type}:${name}:${actions.join(',')}`;
