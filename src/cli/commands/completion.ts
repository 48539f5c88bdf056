import { defineCommand } from '../command.ts';
import { completionScripts } from '../completion-scripts.ts';
import { Failure } from '../failure.ts';
import { writeOut } from '../output.ts';

export const command = defineCommand({
  usage: 'SHELL',
  summary: `Print what makes a shell complete commands, flags and names

bash:  source <(gantry completion bash)       in ~/.bashrc
zsh:   source <(gantry completion zsh)        in ~/.zshrc, after compinit
fish:  gantry completion fish | source        in ~/.config/fish/config.fish`,
  options: {},
  args: [1, 1],
  async run(_context, { args: [shell = ''] }) {
    const script = Object.hasOwn(completionScripts, shell) ? completionScripts[shell] : undefined;
    if (script === undefined)
      throw new Failure(`no completion for the shell "${shell}"; there is bash, zsh and fish`, 1);
    writeOut(script);
    return 0;
  },
});
