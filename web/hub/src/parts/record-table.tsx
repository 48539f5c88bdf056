import type { Records } from '../hub-types.ts';
import { Time } from './time.tsx';

/** What was done, the newest first. */
export const RecordTable = ({ records }: { readonly records: Records }) => (
  <section
    class="scroll"
    aria-label="Table of records"
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
    tabIndex={0}
  >
    <table>
      <thead>
        <tr>
          <th scope="col">When</th>
          <th scope="col">Who</th>
          <th scope="col">What</th>
          <th scope="col">To what</th>
          <th scope="col">From</th>
        </tr>
      </thead>
      <tbody>
        {records.entries.map((entry, i) => (
          <tr key={i}>
            <td>
              <Time iso={entry.time} />
            </td>
            <td>{entry.actor}</td>
            <td>{entry.action}</td>
            <td class="break">{entry.subject}</td>
            <td>{entry.address}</td>
          </tr>
        ))}
      </tbody>
    </table>
  </section>
);
