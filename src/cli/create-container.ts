import { rmSync, writeFileSync } from 'node:fs';
import { hostOf } from '#client/index.ts';
import { isGantryError, messageOf } from '#errors/index.ts';
import type { CommandContext } from './command.ts';
import { type ContainerFlags, containerBody, type Streams } from './container-body.ts';
import { Failure } from './failure.ts';
import { writeError } from './output.ts';
import { proxyVariables } from './proxy-variables.ts';

/** Creates the container that the flags and words describe, pulling its image where the policy says so. Returns its id. */
export async function createContainer(
  context: CommandContext,
  flags: ContainerFlags,
  streams: Streams,
): Promise<string> {
  const { values, args } = flags;
  const [image = '', ...command] = args;
  if (!plainName.test(image)) await referenceOf(image); // refused here, with the reason
  const proxies = context.config.proxies && proxyVariables(context.config, hostOf(context.engine.address));
  const body = containerBody(flags, image, command, streams, proxies);
  const policy = values.pull ?? 'missing';
  const create = () =>
    context.engine.json<{ Id: string; Warnings?: readonly string[] | null }>('POST', '/containers/create', {
      query: { name: values.name || undefined, platform: values.platform || undefined },
      json: body,
    });
  if (values.cidfile !== '') claimIdFile(values.cidfile);
  try {
    if (policy === 'always' && !isId(image)) await pull(context, flags, image);
    let created: Awaited<ReturnType<typeof create>>;
    try {
      created = await create();
    } catch (error) {
      const missing =
        isGantryError(error, 'not-found') && /No such image|does not match the specified platform/i.test(error.message);
      if (!missing || policy !== 'missing' || isId(image)) throw error;
      if (!values.quiet) writeError(`Unable to find image '${await familiar(image)}' locally\n`);
      await pull(context, flags, image);
      created = await create();
    }
    for (const warning of created.Warnings ?? []) writeError(`WARNING: ${warning}\n`);
    if (values.cidfile !== '') writeFileSync(values.cidfile, created.Id);
    return created.Id;
  } catch (error) {
    if (values.cidfile !== '') rmSync(values.cidfile, { force: true });
    throw error;
  }
}

/** The file must be new: one that is there belongs to a container that may still run. */
function claimIdFile(path: string): void {
  try {
    writeFileSync(path, '', { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST')
      throw new Failure(`container ID file found, make sure the other container isn't running or delete ${path}`, 1);
    throw new Failure(`failed to create the container ID file: ${messageOf(error)}`, 1);
  }
}

/** What reads as a name at first sight. Only others are looked at closer: what reads them loads all of node:crypto. */
const plainName = /^[a-z0-9]+(?:[._/:@-]+[a-z0-9]+)*$/;

/** An engine's own name for an image, which no registry knows. */
const isId = (image: string) => /^(?:sha256:)?[0-9a-f]{64}$/.test(image);

async function referenceOf(image: string) {
  const { parseReference } = await import('#oci/index.ts');
  return parseReference(image);
}

async function familiar(image: string): Promise<string> {
  const { familiarReference } = await import('#oci/index.ts');
  return familiarReference(await referenceOf(image));
}

async function pull(context: CommandContext, { values }: ContainerFlags, image: string): Promise<void> {
  const { pullImage } = await import('./pull-image.ts');
  const to = { fd: 2, write: writeError } as const;
  await pullImage(context, await referenceOf(image), { platform: values.platform, quiet: values.quiet, to });
}
