import type { ConfigFile } from './config-file.ts';

const names: Readonly<Record<string, string>> = {
  httpProxy: 'HTTP_PROXY',
  httpsProxy: 'HTTPS_PROXY',
  noProxy: 'NO_PROXY',
  ftpProxy: 'FTP_PROXY',
  allProxy: 'ALL_PROXY',
};

/**
 * The variables that containers and builds are given for the proxies of the client's configuration, in both spellings:
 * those for this engine's address, or else the default ones.
 */
export function proxyVariables({ proxies }: ConfigFile, host: string): Readonly<Record<string, string>> {
  const chosen = proxies?.[host] ?? proxies?.default ?? {};
  return Object.fromEntries(
    Object.entries(names).flatMap(([key, name]) => {
      const value = chosen[key];
      return value ? [[name, value] as const, [name.toLowerCase(), value] as const] : [];
    }),
  );
}
