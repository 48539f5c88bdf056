import { randomInt } from 'node:crypto';

const adjectives =
  'agile amber bold brisk calm clear clever coastal copper cosy deft eager early even fair fleet fond frosty gentle glad golden hardy humble jolly keen kind lively lucid merry mellow neat nimble noble patient plucky polar proud quiet rapid ready rosy serene sharp silver steady sunny swift tidy upbeat vivid warm wise'.split(
    ' ',
  );
const nouns =
  'anchor barge beacon boom bow buoy cable capstan cargo clipper cove crane crew current davit deck derrick dinghy dock ferry fender fjord galley gangway harbor hatch helm hoist hull jetty keel ketch lantern latch ledger lighter lock mast mooring oar pier pilot pulley quay raft reef rigging rudder sail schooner sextant skiff slip spar tide tiller trolley tug wharf winch'.split(
    ' ',
  );

/** A name nobody chose, e.g. `brisk_winch`; `taken` says which are in use. */
export function generateName(taken: (name: string) => boolean): string {
  for (let tries = 0; ; tries++) {
    const name = `${adjectives[randomInt(adjectives.length)]}_${nouns[randomInt(nouns.length)]}${tries > 4 ? randomInt(1e6) : ''}`;
    if (!taken(name)) return name;
  }
}
