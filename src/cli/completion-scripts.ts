// The shells' halves of completion: each passes the words so far to `gantry __complete` and offers what it answers, one
// candidate a line (with its description after a tab), and at the end a line that says whether files may stand there.

const bash = `# bash completion for gantry: source <(gantry completion bash)
_gantry() {
  local line=\${COMP_LINE:0:COMP_POINT} current answer mode
  local -a words
  # By blanks alone: bash would also split at the : of an image's name and the = of a flag.
  read -ra words <<< "$line"
  [[ $line == *[[:blank:]] ]] && words+=('')
  current=\${words[-1]}
  answer=$("\${words[0]}" __complete -- "\${words[@]:1}" 2>/dev/null) || return
  mode=\${answer##*$'\\n'}
  COMPREPLY=()
  local value prefix=''
  # What stands before the last : or = bash takes for words of their own.
  if [[ $current == *[:=]* ]]; then
    prefix=\${current%"\${current##*[:=]}"}
    [[ $COMP_WORDBREAKS == *"\${prefix: -1}"* ]] || prefix=''
  fi
  while IFS=$'\\t' read -r value _; do
    [[ $value == :* ]] && continue
    COMPREPLY+=("\${value#"$prefix"}")
  done <<< "$answer"
  if [[ $mode == :files ]]; then
    compopt -o default 2>/dev/null
    compopt -o filenames 2>/dev/null
    while IFS= read -r value; do COMPREPLY+=("$value"); done < <(compgen -f -- "\${current#"$prefix"}")
  elif [[ \${#COMPREPLY[@]} == 1 && \${COMPREPLY[0]} == *[:=] ]]; then
    compopt -o nospace 2>/dev/null
  fi
}
complete -F _gantry gantry
`;

const zsh = `#compdef gantry
# zsh completion for gantry: source <(gantry completion zsh), or put this as _gantry on the fpath
_gantry() {
  local answer line value
  local -a lines values open shown openShown
  answer=$("\${words[1]}" __complete -- "\${(@)words[2,CURRENT-1]}" "$PREFIX" 2>/dev/null) || return 1
  lines=("\${(@f)answer}")
  for line in $lines; do
    [[ $line == :* ]] && continue
    value=\${line%%$'\\t'*}
    if [[ $value == *[:=] ]]; then
      open+=("$value"); openShown+=("\${line/$'\\t'/  -- }")
    else
      values+=("$value"); shown+=("\${line/$'\\t'/  -- }")
    fi
  done
  (( $#values )) && compadd -l -d shown -a -- values
  (( $#open )) && compadd -S '' -l -d openShown -a -- open
  [[ $lines[-1] == :files ]] && _files
  (( $#values + $#open )) || [[ $lines[-1] == :files ]]
}
compdef _gantry gantry
`;

const fish = `# fish completion for gantry: gantry completion fish | source
function __gantry_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  set -l answer ($words[1] __complete -- $words[2..] "$current" 2>/dev/null)
  or return
  if test "$answer[-1]" = :files
    __fish_complete_path "$current"
  end
  for line in $answer
    string match -q ':*' -- $line; or echo $line
  end
end
complete -c gantry -f -a '(__gantry_complete)'
`;

export const completionScripts: Readonly<Record<string, string>> = { bash, fish, zsh };
