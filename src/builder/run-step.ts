import { StringDecoder } from 'node:string_decoder';
import { frameError, type RunInstruction } from '#dockerfile/index.ts';
import { GantryError } from '#errors/index.ts';
import type { ImageRunConfig } from '#oci/index.ts';
import { cacheKey } from './build-cache.ts';
import type { BuildSession } from './build-session.ts';
import { commandLine, defaultShell, environment } from './run-config.ts';
import type { StageOutput } from './stage-output.ts';
import type { StageState, StepResult } from './stage-state.ts';
import { shortDiffId } from './step-layers.ts';

/** RUN: a command on a fresh diff. @throws GantryError invalid (code `step-failed`) for an exit code other than 0 */
export async function runStep(
  session: BuildSession,
  state: StageState,
  instruction: RunInstruction,
  args: ReadonlyMap<string, string>,
  output: StageOutput,
): Promise<StepResult> {
  const { request, driver, layers, signal } = session;
  refuseUnbuilt(instruction);
  const command = runArguments(instruction, state.config);
  const env = environment(state.config);
  const declared = [...args].filter(([name]) => !env.has(name)).sort(([a], [b]) => (a < b ? -1 : 1));
  const proxies = [...session.args.proxies].filter(([name]) => !env.has(name) && !args.has(name));
  const text = (pairs: Iterable<readonly [string, string]>) => Array.from(pairs, ([name, value]) => `${name}=${value}`);
  const cwd = state.config.WorkingDir ?? '/';
  const user = state.config.User ?? '';
  const networkMode = networkOf(instruction, request.networkMode || 'default');

  const said = command.join(' ');
  const createdBy = declared.length === 0 ? said : `|${declared.length} ${text(declared).join(' ')} ${said}`;
  const key = cacheKey('run', [state.tree.identity, command, text(env), text(declared), cwd, user, networkMode]);
  const cached = request.noCache ? undefined : await layers.reuse(key, state.tree, signal);
  if (cached !== undefined) {
    output.text(' ---> Using cache\n');
    return { ...cached, createdBy };
  }
  let container = '';
  const made = await layers.make(
    key,
    state.tree,
    async (diffId) => {
      container = shortDiffId(diffId);
      output.text(` ---> Running in ${container}\n`);
      const decoders = { stdout: new StringDecoder('utf8'), stderr: new StringDecoder('utf8') };
      const { exitCode } = await session.steps.run(
        {
          diffId,
          rootfs: session.mountPoints.below(await driver.mounts(diffId)),
          args: command,
          env: [...text(proxies), ...text(declared), ...text(env)],
          cwd: cwd === '' ? '/' : cwd,
          user,
          networkMode,
        },
        { onOutput: (stream, data) => output.text(decoders[stream].write(data)), signal },
      );
      if (exitCode !== 0)
        throw new GantryError('invalid', `The command '${said}' returned a non-zero code: ${exitCode}`, {
          code: 'step-failed',
        });
    },
    signal,
  );
  output.text(` ---> Removed intermediate container ${container}\n`);
  return { ...made, createdBy };
}

function refuseUnbuilt({ mounts: [mount], security }: RunInstruction): void {
  if (mount !== undefined)
    throw frameError(mount.span, `RUN --mount=${mount.text} is not supported yet`, 'unsupported');
  if (security !== undefined && security.text !== 'sandbox')
    throw frameError(security.span, `RUN --security=${security.text} is not supported`, 'unsupported');
}

function networkOf({ network }: RunInstruction, ofBuild: string): string {
  if (network === undefined || network.text === 'default') return ofBuild;
  if (network.text === 'none') return 'none';
  if (network.text !== 'host')
    throw frameError(network.span, `unknown network "${network.text}"; it is default, none or host`);
  if (ofBuild !== 'host')
    throw frameError(network.span, 'RUN --network=host needs a build with --network host', 'forbidden');
  return 'host';
}

/** The command with its heredocs: one that stands alone is the script itself, others are the shell's to read. */
function runArguments({ command, span }: RunInstruction, config: ImageRunConfig): readonly string[] {
  if (command.form === 'exec') {
    if (command.args.length === 0) throw frameError(span, 'RUN needs a command');
    return command.args;
  }
  const [only, ...more] = command.heredocs;
  if (only === undefined) return commandLine(command, config);
  const shell = config.Shell ?? defaultShell;
  if (more.length === 0 && /^<<-?\S+$/.test(command.text.trim())) {
    if (only.body.startsWith('#!'))
      throw frameError(
        only.span,
        'a heredoc that begins with #! is not supported yet; name its shell: RUN python3 <<EOF',
        'unsupported',
      );
    return [...shell, only.body];
  }
  const bodies = command.heredocs.map((heredoc) => `${heredoc.body}${heredoc.name}\n`).join('');
  return [...shell, `${command.text}\n${bodies}`];
}
