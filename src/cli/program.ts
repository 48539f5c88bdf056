import type { Command } from './command.ts';

export interface ProgramEntry {
  /** Every spelling; the first is shown in `gantry --help` under its group. */
  readonly names: readonly string[];
  readonly summary: string;
  readonly common?: boolean;
  /** Needs neither an engine nor the client's configuration. */
  readonly offline?: boolean;
  readonly load: () => Promise<{ readonly command: Command }>;
}

/** Every command. Only the called one's file is loaded. */
export const program: readonly ProgramEntry[] = [
  {
    names: ['run', 'container run'],
    summary: 'Create and run a new container from an image',
    common: true,
    load: () => import('./commands/run.ts'),
  },
  {
    names: ['exec', 'container exec'],
    summary: 'Execute a command in a running container',
    common: true,
    load: () => import('./commands/exec.ts'),
  },
  {
    names: ['ps', 'container ls', 'container list', 'container ps'],
    summary: 'List containers',
    common: true,
    load: () => import('./commands/ps.ts'),
  },
  {
    names: ['build', 'image build', 'builder build', 'buildx build'],
    summary: 'Build an image from a Dockerfile',
    common: true,
    load: () => import('./commands/build.ts'),
  },
  {
    names: ['pull', 'image pull'],
    summary: 'Download an image from a registry',
    common: true,
    load: () => import('./commands/pull.ts'),
  },
  {
    names: ['push', 'image push'],
    summary: 'Upload an image to a registry',
    common: true,
    load: () => import('./commands/push.ts'),
  },
  {
    names: ['images', 'image ls', 'image list'],
    summary: 'List images',
    common: true,
    load: () => import('./commands/images.ts'),
  },
  {
    names: ['login'],
    summary: 'Authenticate to a registry',
    common: true,
    load: () => import('./commands/login.ts'),
  },
  {
    names: ['logout'],
    summary: 'Log out from a registry',
    common: true,
    load: () => import('./commands/logout.ts'),
  },
  {
    names: ['search'],
    summary: 'Search a registry for images',
    common: true,
    load: () => import('./commands/search.ts'),
  },
  {
    names: ['version'],
    summary: 'Show the Gantry version information',
    common: true,
    load: () => import('./commands/version.ts'),
  },
  {
    names: ['info', 'system info'],
    summary: 'Display system-wide information',
    common: true,
    load: () => import('./commands/info.ts'),
  },
  {
    names: ['daemon'],
    summary: 'Start the engine',
    common: true,
    offline: true,
    load: () => import('./commands/daemon.ts'),
  },
  {
    names: ['hub'],
    summary: 'Serve a registry with accounts and web pages, and manage it',
    common: true,
    offline: true,
    load: () => import('./commands/hub.ts'),
  },
  {
    names: ['attach', 'container attach'],
    summary: 'Attach local standard input, output, and error streams to a running container',
    load: () => import('./commands/attach.ts'),
  },
  {
    names: ['create', 'container create'],
    summary: 'Create a new container',
    load: () => import('./commands/create.ts'),
  },
  {
    names: ['cp', 'container cp'],
    summary: 'Copy files/folders between a container and the local filesystem',
    load: () => import('./commands/cp.ts'),
  },
  {
    names: ['diff', 'container diff'],
    summary: "Inspect changes to files or directories on a container's filesystem",
    load: () => import('./commands/diff.ts'),
  },
  {
    names: ['events', 'system events'],
    summary: 'Get real time events from the server',
    load: () => import('./commands/events.ts'),
  },
  {
    names: ['export', 'container export'],
    summary: "Export a container's filesystem as a tar archive",
    load: () => import('./commands/export.ts'),
  },
  {
    names: ['history', 'image history'],
    summary: 'Show the history of an image',
    load: () => import('./commands/history.ts'),
  },
  {
    names: ['import', 'image import'],
    summary: 'Import the contents from a tarball to create a filesystem image',
    load: () => import('./commands/import.ts'),
  },
  {
    names: ['inspect'],
    summary: 'Return low-level information on Docker objects',
    load: () => import('./commands/inspect.ts'),
  },
  {
    names: ['container inspect'],
    summary: 'Display detailed information on one or more containers',
    load: () => import('./commands/inspect-container.ts'),
  },
  {
    names: ['image inspect'],
    summary: 'Display detailed information on one or more images',
    load: () => import('./commands/inspect-image.ts'),
  },
  {
    names: ['kill', 'container kill'],
    summary: 'Kill one or more running containers',
    load: () => import('./commands/kill.ts'),
  },
  {
    names: ['load', 'image load'],
    summary: 'Load an image from a tar archive or STDIN',
    load: () => import('./commands/load.ts'),
  },
  {
    names: ['logs', 'container logs'],
    summary: 'Fetch the logs of a container',
    load: () => import('./commands/logs.ts'),
  },
  {
    names: ['pause', 'container pause'],
    summary: 'Pause all processes within one or more containers',
    load: () => import('./commands/pause.ts'),
  },
  {
    names: ['port', 'container port'],
    summary: 'List port mappings or a specific mapping for the container',
    load: () => import('./commands/port.ts'),
  },
  {
    names: ['rename', 'container rename'],
    summary: 'Rename a container',
    load: () => import('./commands/rename.ts'),
  },
  {
    names: ['restart', 'container restart'],
    summary: 'Restart one or more containers',
    load: () => import('./commands/restart.ts'),
  },
  {
    names: ['rm', 'container rm', 'container remove'],
    summary: 'Remove one or more containers',
    load: () => import('./commands/rm.ts'),
  },
  {
    names: ['rmi', 'image rm', 'image remove'],
    summary: 'Remove one or more images',
    load: () => import('./commands/rmi.ts'),
  },
  {
    names: ['save', 'image save'],
    summary: 'Save one or more images to a tar archive (streamed to STDOUT by default)',
    load: () => import('./commands/save.ts'),
  },
  {
    names: ['start', 'container start'],
    summary: 'Start one or more stopped containers',
    load: () => import('./commands/start.ts'),
  },
  {
    names: ['stats', 'container stats'],
    summary: 'Display a live stream of container(s) resource usage statistics',
    load: () => import('./commands/stats.ts'),
  },
  {
    names: ['stop', 'container stop'],
    summary: 'Stop one or more running containers',
    load: () => import('./commands/stop.ts'),
  },
  {
    names: ['tag', 'image tag'],
    summary: 'Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE',
    load: () => import('./commands/tag.ts'),
  },
  {
    names: ['top', 'container top'],
    summary: 'Display the running processes of a container',
    load: () => import('./commands/top.ts'),
  },
  {
    names: ['unpause', 'container unpause'],
    summary: 'Unpause all processes within one or more containers',
    load: () => import('./commands/unpause.ts'),
  },
  {
    names: ['builder prune', 'buildx prune'],
    summary: 'Remove build cache',
    load: () => import('./commands/builder-prune.ts'),
  },
  {
    names: ['builder export-mount'],
    summary: 'Save what a cache mount holds as a tar archive',
    load: () => import('./commands/builder-export-mount.ts'),
  },
  {
    names: ['builder import-mount'],
    summary: 'Fill a cache mount from a tar archive',
    load: () => import('./commands/builder-import-mount.ts'),
  },
  {
    names: ['builder du', 'buildx du'],
    summary: 'Show what the build cache takes on disk',
    load: () => import('./commands/builder-du.ts'),
  },
  {
    names: ['commit', 'container commit'],
    summary: "Create a new image from a container's changes",
    load: () => import('./commands/commit.ts'),
  },
  {
    names: ['image prune'],
    summary: 'Remove unused images',
    load: () => import('./commands/image-prune.ts'),
  },
  {
    names: ['system df'],
    summary: 'Show what the engine takes on the disk',
    load: () => import('./commands/system-df.ts'),
  },
  {
    names: ['system prune'],
    summary: 'Remove unused data',
    load: () => import('./commands/system-prune.ts'),
  },
  {
    names: ['system check'],
    summary: "Verify every blob, unpacked layer and reference of the engine's store",
    load: () => import('./commands/system-check.ts'),
  },
  {
    names: ['update', 'container update'],
    summary: 'Update configuration of one or more containers',
    load: () => import('./commands/update.ts'),
  },
  {
    names: ['wait', 'container wait'],
    summary: 'Block until one or more containers stop, then print their exit codes',
    load: () => import('./commands/wait.ts'),
  },
  {
    names: ['network ls', 'network list'],
    summary: 'List networks',
    load: () => import('./commands/network-ls.ts'),
  },
  {
    names: ['network inspect'],
    summary: 'Display detailed information on one or more networks',
    load: () => import('./commands/inspect-network.ts'),
  },
  {
    names: ['network create'],
    summary: 'Create a network',
    load: () => import('./commands/network-create.ts'),
  },
  {
    names: ['network connect'],
    summary: 'Connect a container to a network',
    load: () => import('./commands/network-connect.ts'),
  },
  {
    names: ['network disconnect'],
    summary: 'Disconnect a container from a network',
    load: () => import('./commands/network-disconnect.ts'),
  },
  {
    names: ['network rm', 'network remove'],
    summary: 'Remove one or more networks',
    load: () => import('./commands/network-rm.ts'),
  },
  {
    names: ['network prune'],
    summary: 'Remove all unused networks',
    load: () => import('./commands/network-prune.ts'),
  },
  {
    names: ['volume ls', 'volume list'],
    summary: 'List volumes',
    load: () => import('./commands/volume-ls.ts'),
  },
  {
    names: ['volume create'],
    summary: 'Create a volume',
    load: () => import('./commands/volume-create.ts'),
  },
  {
    names: ['volume inspect'],
    summary: 'Display detailed information on one or more volumes',
    load: () => import('./commands/inspect-volume.ts'),
  },
  {
    names: ['volume prune'],
    summary: 'Remove unused local volumes',
    load: () => import('./commands/volume-prune.ts'),
  },
  {
    names: ['volume rm', 'volume remove'],
    summary: 'Remove one or more volumes',
    load: () => import('./commands/volume-rm.ts'),
  },
  {
    names: ['container prune'],
    summary: 'Remove all stopped containers',
    load: () => import('./commands/container-prune.ts'),
  },
  {
    names: ['volume update'],
    summary: 'Update a volume (cluster volumes only)',
    load: () => import('./commands/volume-update.ts'),
  },
  {
    names: ['checkpoint create'],
    summary: 'Create a checkpoint from a running container',
    load: async () => ({ command: (await import('./commands/checkpoint.ts')).create }),
  },
  {
    names: ['checkpoint ls', 'checkpoint list'],
    summary: 'List checkpoints for a container',
    load: async () => ({ command: (await import('./commands/checkpoint.ts')).ls }),
  },
  {
    names: ['checkpoint rm', 'checkpoint remove'],
    summary: 'Remove a checkpoint',
    load: async () => ({ command: (await import('./commands/checkpoint.ts')).rm }),
  },
  {
    names: ['manifest create'],
    summary: 'Create a local manifest list for annotating and pushing to a registry',
    load: () => import('./commands/manifest-create.ts'),
  },
  {
    names: ['manifest annotate'],
    summary: 'Add additional information to a local image manifest',
    load: () => import('./commands/manifest-annotate.ts'),
  },
  {
    names: ['manifest inspect'],
    summary: 'Display an image manifest, or manifest list',
    load: () => import('./commands/manifest-inspect.ts'),
  },
  {
    names: ['manifest push'],
    summary: 'Push a manifest list to a repository',
    load: () => import('./commands/manifest-push.ts'),
  },
  {
    names: ['manifest rm'],
    summary: 'Delete one or more manifest lists from local storage',
    load: () => import('./commands/manifest-rm.ts'),
  },
  {
    names: ['context create'],
    summary: 'Create a context',
    load: () => import('./commands/context-create.ts'),
  },
  {
    names: ['context export'],
    summary: 'Export a context to a tar archive FILE or a tar stream on STDOUT.',
    load: () => import('./commands/context-export.ts'),
  },
  {
    names: ['context import'],
    summary: 'Import a context from a tar or zip file',
    load: () => import('./commands/context-import.ts'),
  },
  {
    names: ['context inspect'],
    summary: 'Display detailed information on one or more contexts',
    load: () => import('./commands/context-inspect.ts'),
  },
  {
    names: ['context ls', 'context list'],
    summary: 'List contexts',
    load: () => import('./commands/context-ls.ts'),
  },
  {
    names: ['context rm', 'context remove'],
    summary: 'Remove one or more contexts',
    load: () => import('./commands/context-rm.ts'),
  },
  {
    names: ['context show'],
    summary: 'Print the name of the current context',
    load: () => import('./commands/context-show.ts'),
  },
  {
    names: ['context update'],
    summary: 'Update a context',
    load: () => import('./commands/context-update.ts'),
  },
  {
    names: ['context use'],
    summary: 'Set the current docker context',
    load: () => import('./commands/context-use.ts'),
  },
  {
    names: ['completion'],
    summary: 'Print what makes a shell complete commands, flags and names',
    offline: true,
    load: () => import('./commands/completion.ts'),
  },
  {
    names: ['__complete'],
    summary: 'Answer a shell that completes a word',
    load: () => import('./commands/complete-words.ts'),
  },
];
