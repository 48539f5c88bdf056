import { rmSync, writeFileSync } from 'node:fs';
import { isGantryError, messageOf } from '#errors/index.ts';
import { familiarReference, isDigest, parseReference, type Reference } from '#oci/index.ts';
import type { CommandContext } from './command.ts';
import { type ContainerFlags, containerBody, type Streams } from './container-body.ts';
import { Failure } from './failure.ts';
import { writeError } from './output.ts';

/** Creates the container that the flags and words describe, pulling its image where the policy says so. Returns its id. */
export async function createContainer(
  context: CommandContext,
  flags: ContainerFlags,
  streams: Streams,
): Promise<string> {
  const { values, args } = flags;
  const [image = '', ...command] = args;
  const reference =
    /^(?:sha256:)?[0-9a-f]{64}$/.test(image) && (isDigest(image) || image.length === 64)
      ? undefined
      : parseReference(image);
  const body = containerBody(flags, image, command, streams);
  const policy = values.pull ?? 'missing';
  const create = () =>
    context.engine.json<{ Id: string; Warnings?: readonly string[] | null }>('POST', '/containers/create', {
      query: { name: values.name || undefined, platform: values.platform || undefined },
      json: body,
    });
  if (values.cidfile !== '') claimIdFile(values.cidfile);
  try {
    if (policy === 'always' && reference !== undefined) await pull(context, flags, reference);
    let created: Awaited<ReturnType<typeof create>>;
    try {
      created = await create();
    } catch (error) {
      const missing =
        isGantryError(error, 'not-found') && /No such image|does not match the specified platform/i.test(error.message);
      if (!missing || policy !== 'missing' || reference === undefined) throw error;
      if (!values.quiet) writeError(`Unable to find image '${familiarReference(reference)}' locally\n`);
      await pull(context, flags, reference);
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

async function pull(context: CommandContext, { values }: ContainerFlags, reference: Reference): Promise<void> {
  const { pullImage } = await import('./pull-image.ts');
  await pullImage(context, reference, {
    platform: values.platform,
    quiet: values.quiet,
    to: { fd: 2, write: writeError },
  });
}
