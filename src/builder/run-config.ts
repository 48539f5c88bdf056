import { posix } from 'node:path';
import { type Command, expandWord, expandWords, frameError, type Instruction, type Lookup } from '#dockerfile/index.ts';
import type { Healthcheck, ImageRunConfig } from '#oci/index.ts';

/** Instructions that only change the image's configuration. WORKDIR makes a directory as well. */
export type ConfigInstruction = Extract<
  Instruction,
  {
    kind:
      | 'ENV'
      | 'LABEL'
      | 'WORKDIR'
      | 'USER'
      | 'STOPSIGNAL'
      | 'EXPOSE'
      | 'VOLUME'
      | 'CMD'
      | 'ENTRYPOINT'
      | 'HEALTHCHECK'
      | 'SHELL'
      | 'ONBUILD';
  }
>;

export interface ConfigChange {
  readonly config: ImageRunConfig;
  /** What the history says, in classic Docker's words. */
  readonly said: string;
}

export const defaultShell: readonly string[] = ['/bin/sh', '-c'];

/** The arguments of a command: the JSON form's, or the shell's with the text behind them. */
export const commandLine = (command: Command, config: ImageRunConfig): readonly string[] =>
  command.form === 'exec' ? command.args : [...(config.Shell ?? defaultShell), command.text];

export const environment = (config: ImageRunConfig): ReadonlyMap<string, string> =>
  new Map(
    (config.Env ?? []).map((entry) => {
      const at = entry.indexOf('=');
      return at < 0 ? [entry, ''] : [entry.slice(0, at), entry.slice(at + 1)];
    }),
  );

/** Where nothing sets PATH, ENV and commands can still count on one. */
export function withDefaultPath(config: ImageRunConfig): ImageRunConfig {
  if (environment(config).has('PATH')) return config;
  return { ...config, Env: [...(config.Env ?? []), `PATH=${defaultPath}`] };
}

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const json = (values: readonly string[]) => JSON.stringify(values);
const set = (names: readonly string[]): Readonly<Record<string, Record<string, never>>> =>
  Object.fromEntries(names.map((name) => [name, {}]));

/**
 * Applies one instruction to a configuration. `cmdSet` tells whether a CMD came earlier in this stage: ENTRYPOINT
 * forgets an inherited one.
 * @throws GantryError invalid, as a code frame
 */
export function changeConfig(
  config: ImageRunConfig,
  instruction: ConfigInstruction,
  options: { readonly lookup: Lookup; readonly escape: string; readonly cmdSet: boolean },
): ConfigChange {
  const expand = (word: { text: string; span: typeof instruction.span }) =>
    expandWord(word, options.lookup, options.escape);
  switch (instruction.kind) {
    case 'ENV': {
      const env = new Map(environment(config));
      const pairs = instruction.pairs.map(({ key, value }) => [expand(key), expand(value), key] as const);
      for (const [key, value, word] of pairs) {
        if (key === '') throw frameError(word.span, 'ENV names can not be blank');
        env.set(key, value);
      }
      return {
        config: { ...config, Env: [...env].map(([key, value]) => `${key}=${value}`) },
        said: `ENV ${pairs.map(([key, value]) => `${key}=${value}`).join(' ')}`,
      };
    }
    case 'LABEL': {
      const pairs = instruction.pairs.map(({ key, value }) => [expand(key), expand(value)] as const);
      return {
        config: { ...config, Labels: { ...config.Labels, ...Object.fromEntries(pairs) } },
        said: `LABEL ${pairs.map(([key, value]) => `${key}=${value}`).join(' ')}`,
      };
    }
    case 'WORKDIR': {
      const path = expand(instruction.value);
      if (path === '') throw frameError(instruction.span, 'cannot normalize nothing: WORKDIR is empty');
      const directory = posix.resolve('/', config.WorkingDir ?? '/', path);
      return { config: { ...config, WorkingDir: directory }, said: `WORKDIR ${directory}` };
    }
    case 'USER': {
      const user = expand(instruction.value);
      return { config: { ...config, User: user }, said: `USER ${user}` };
    }
    case 'STOPSIGNAL': {
      const signal = expand(instruction.value);
      if (!/^(?:\d{1,2}|(?:SIG)?[A-Z0-9+-]+)$/i.test(signal))
        throw frameError(instruction.value.span, `Invalid signal: ${signal}`);
      return { config: { ...config, StopSignal: signal }, said: `STOPSIGNAL ${signal}` };
    }
    case 'EXPOSE': {
      const ports = instruction.values.flatMap((word) =>
        expandWords(word, options.lookup, options.escape).flatMap((text) => portsOf(text, word.span)),
      );
      return {
        config: { ...config, ExposedPorts: { ...config.ExposedPorts, ...set(ports) } },
        said: `EXPOSE ${ports.join(' ')}`,
      };
    }
    case 'VOLUME': {
      const paths = instruction.values.map((word) => {
        const path = expand(word);
        if (path.trim() === '') throw frameError(word.span, 'VOLUME specified can not be an empty string');
        return path;
      });
      return { config: { ...config, Volumes: { ...config.Volumes, ...set(paths) } }, said: `VOLUME ${json(paths)}` };
    }
    case 'CMD': {
      const args = commandLine(instruction.command, config);
      return { config: { ...config, Cmd: args }, said: `CMD ${json(args)}` };
    }
    case 'ENTRYPOINT': {
      const { Entrypoint, Cmd, ...rest } = config;
      const args = commandLine(instruction.command, config);
      return {
        config: {
          ...rest,
          ...(args.length === 0 ? {} : { Entrypoint: args }),
          ...(options.cmdSet && Cmd !== undefined ? { Cmd } : {}),
        },
        said: `ENTRYPOINT ${json(args)}`,
      };
    }
    case 'HEALTHCHECK': {
      const check = healthcheckOf(instruction, config);
      return { config: { ...config, Healthcheck: check }, said: `HEALTHCHECK ${JSON.stringify(check)}` };
    }
    case 'SHELL':
      return { config: { ...config, Shell: instruction.args }, said: `SHELL ${json(instruction.args)}` };
    case 'ONBUILD':
      return {
        config: { ...config, OnBuild: [...(config.OnBuild ?? []), instruction.trigger] },
        said: `ONBUILD ${instruction.trigger}`,
      };
  }
}

const mostPorts = 65_535;

/** `80`, `80/udp`, `8000-8010/tcp` as `port/protocol`. */
function portsOf(text: string, span: Instruction['span']): readonly string[] {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/i.exec(text);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? match?.[1]);
  if (match === null || last > mostPorts || last < first)
    throw frameError(span, `invalid containerPort: ${text}; write 8080, 8080/udp or 8000-8010`);
  const protocol = (match[3] ?? 'tcp').toLowerCase();
  return Array.from({ length: last - first + 1 }, (_, i) => `${first + i}/${protocol}`);
}

function healthcheckOf(
  instruction: Extract<Instruction, { kind: 'HEALTHCHECK' }>,
  config: ImageRunConfig,
): Healthcheck {
  const { test, interval, timeout, startPeriod, startInterval, retries } = instruction;
  if (test === undefined) return { Test: ['NONE'] };
  const shell = config.Shell;
  const Test =
    test.form === 'exec'
      ? ['CMD', ...test.args]
      : shell === undefined
        ? ['CMD-SHELL', test.text]
        : ['CMD', ...shell, test.text];
  return {
    Test,
    ...(interval === undefined ? {} : { Interval: interval }),
    ...(timeout === undefined ? {} : { Timeout: timeout }),
    ...(startPeriod === undefined ? {} : { StartPeriod: startPeriod }),
    ...(startInterval === undefined ? {} : { StartInterval: startInterval }),
    ...(retries === undefined ? {} : { Retries: retries }),
  };
}
