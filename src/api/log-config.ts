import type { ContainerOptions } from '#engine/index.ts';
import { GantryError } from '#errors/index.ts';

/** HostConfig.LogConfig. */
export interface LogConfigBody {
  Type?: string;
  Config?: Readonly<Record<string, string>>;
}

const units: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** @throws GantryError invalid, naming the option */
function positive(name: string, text: string, pattern: RegExp): number {
  const match = pattern.exec(text.toLowerCase());
  const value = Number(match?.[1]) * (units[match?.[2] ?? ''] ?? 1);
  if (match === null || value < 1)
    throw new GantryError(
      'invalid',
      `invalid log opt ${name}="${text}"; expected e.g. ${name}=${name === 'max-size' ? '10m' : '3'}`,
    );
  return value;
}

/** How a container's output is kept: `json-file` with max-size and max-file, or `none`. @throws GantryError unsupported, invalid */
export function logOptionsOf(body: LogConfigBody | undefined): Pick<ContainerOptions, 'logDriver' | 'logLimits'> {
  const driver = body?.Type || 'json-file';
  if (driver !== 'json-file' && driver !== 'none')
    throw new GantryError('unsupported', `log driver "${driver}": not supported yet; use json-file or none`);
  const { 'max-size': size, 'max-file': count, ...others } = body?.Config ?? {};
  const [odd] = Object.keys(others);
  if (odd !== undefined)
    throw new GantryError(
      'unsupported',
      `log opt "${odd}" of ${driver}: not supported yet; known are max-size and max-file`,
    );
  const limits = {
    ...(size === undefined || size === '-1' ? {} : { maxBytes: positive('max-size', size, /^(\d+)([kmg]?)b?$/) }),
    ...(count === undefined ? {} : { maxFiles: positive('max-file', count, /^(\d+)$/) }),
  };
  return {
    ...(driver === 'none' ? { logDriver: 'none' } : {}),
    ...(Object.keys(limits).length === 0 ? {} : { logLimits: limits }),
  };
}

/** The same as inspect shows it. */
export const logConfigShape = ({ logDriver, logLimits }: Pick<ContainerOptions, 'logDriver' | 'logLimits'>) => ({
  Type: logDriver ?? 'json-file',
  Config: {
    ...(logLimits?.maxBytes === undefined ? {} : { 'max-size': String(logLimits.maxBytes) }),
    ...(logLimits?.maxFiles === undefined ? {} : { 'max-file': String(logLimits.maxFiles) }),
  },
});
