/**
 * What a shell is given. Each script asks the tool itself what could come (`cnitool __complete -- …`), so it stays as it is
 * when commands change. An answer is lines of a word, a tab and what it is; `:files` at the end adds files.
 */
import type { shells } from './candidates.ts';

export const scripts: Readonly<Record<(typeof shells)[number], string>> = {
  bash: `# bash completion of cnitool: source <(cnitool completion bash)
_cnitool() {
  local word=\${COMP_WORDS[COMP_CWORD]} tool=\${COMP_WORDS[0]/#\\~/$HOME} line
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ $line == :files ]]; then
      compopt -o filenames 2>/dev/null
      while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$word")
    else
      COMPREPLY+=("\${line%%$'\\t'*}")
    fi
  done < <("$tool" __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _cnitool cnitool
`,
  zsh: `#compdef cnitool
# zsh completion of cnitool: source <(cnitool completion zsh), or as _cnitool in a folder of $fpath
_cnitool() {
  local line name
  local -a found
  local -i files=0
  while IFS= read -r line; do
    if [[ $line == :files ]]; then
      files=1
    else
      name=\${line%%$'\\t'*}
      found+=("\${name//:/\\\\:}:\${line#*$'\\t'}")
    fi
  done < <(\${~words[1]} __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  if (( \${#found} )); then _describe -V cnitool found; fi
  if (( files )); then _files; fi
}
if [ "$funcstack[1]" = _cnitool ]; then
  _cnitool "$@"
else
  compdef _cnitool cnitool
fi
`,
  fish: `# fish completion of cnitool: cnitool completion fish | source
function __cnitool_answer
    set -l words (commandline -opc) (commandline -ct)
    $words[1] __complete -- $words[2..-1] 2>/dev/null
end
function __cnitool_files
    __cnitool_answer | string match -q ':files'
end
complete -c cnitool -f
complete -c cnitool -k -a '(__cnitool_answer | string match -v ":files")'
complete -c cnitool -n __cnitool_files -F
`,
};
