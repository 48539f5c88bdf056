import type { ContainerOptions } from '#engine/index.ts';

/** HostConfig.LogConfig. */
export interface LogConfigBody {
  Type?: string;
  Config?: Readonly<Record<string, string>>;
}

/** How a container's output is kept, where anything is said of it; the engine checks driver and options. */
export function logOptionsOf(body: LogConfigBody | undefined): Pick<ContainerOptions, 'logging'> {
  const { Type = '', Config } = body ?? {};
  const options = Config ?? {};
  return Type === '' && Object.keys(options).length === 0 ? {} : { logging: { driver: Type, options } };
}

/** The same as inspect shows it. */
export const logConfigShape = ({ logging }: Pick<ContainerOptions, 'logging'>) => ({
  Type: logging?.driver ?? 'json-file',
  Config: logging?.options ?? {},
});
