import { type Dockerfile, expandWord, type Lookup } from '#dockerfile/index.ts';
import type { Platform } from '#oci/index.ts';
import { nativePlatform } from './platforms.ts';

/** Known to every RUN without an ARG; they stay out of cache keys and history (docs.docker.com: predefined ARGs). */
const proxyNames = ['HTTP_PROXY', 'HTTPS_PROXY', 'FTP_PROXY', 'NO_PROXY', 'ALL_PROXY'].flatMap((name) => [
  name,
  name.toLowerCase(),
]);

/** The build arguments of one build: what was given, the file's global ARGs, and the platform's. */
export interface BuildArgs {
  /** In FROM lines. */
  readonly global: Lookup;
  /** What a stage's `ARG name` or `ARG name=value` makes of it; undefined where it stays unset. */
  declared(name: string, value: string | undefined): string | undefined;
  /** Given proxy settings. */
  readonly proxies: ReadonlyMap<string, string>;
  /** Given, and declared nowhere in the file. */
  readonly unconsumed: readonly string[];
}

/** The platforms' arguments: of the one we build for, and the one we build on. */
const platformArgs = (target: Platform, build: Platform): ReadonlyMap<string, string> =>
  new Map(
    [['TARGET', target] as const, ['BUILD', build] as const].flatMap(([side, { os, architecture, variant = '' }]) => [
      [`${side}PLATFORM`, [os, architecture, ...(variant === '' ? [] : [variant])].join('/')] as const,
      [`${side}OS`, os] as const,
      [`${side}ARCH`, architecture] as const,
      [`${side}VARIANT`, variant] as const,
    ]),
  );

/** @throws GantryError invalid, as a code frame, for a global ARG that cannot be expanded */
export function readBuildArgs(
  file: Dockerfile,
  given: Readonly<Record<string, string | null>>,
  platform: Platform,
  target: string | undefined,
): BuildArgs {
  const values = new Map(Object.entries(given).filter((entry): entry is [string, string] => entry[1] !== null));
  const fromPlatform = new Map([
    ...platformArgs(platform, nativePlatform),
    ['TARGETSTAGE', target === undefined || target === '' ? 'default' : target],
  ]);
  const globals = new Map<string, string>();
  const global: Lookup = (name) => globals.get(name) ?? fromPlatform.get(name);
  for (const { name, value } of file.globalArgs.flatMap((instruction) => instruction.args)) {
    const chosen = values.get(name.text) ?? (value === undefined ? undefined : expandWord(value, global, file.escape));
    if (chosen !== undefined) globals.set(name.text, chosen);
  }
  const names = new Set([
    ...proxyNames,
    ...[...file.globalArgs, ...file.stages.flatMap((stage) => stage.instructions)].flatMap((instruction) =>
      instruction.kind === 'ARG' ? instruction.args.map(({ name }) => name.text) : [],
    ),
  ]);
  return {
    global,
    declared: (name, value) => values.get(name) ?? value ?? global(name),
    proxies: new Map([...values].filter(([name]) => proxyNames.includes(name))),
    unconsumed: [...values.keys()].filter((name) => !names.has(name)),
  };
}
