import { foldWord } from "../fold.ts";

/**
 * Words by what they do in an attempt to override instructions. In English, and the most used ones in German, French, Spanish,
 * Portuguese and Italian.
 */
const CLASSES = {
  ignore:
    "ignore ignoring ignores disregard disregarding forget forgetting forgets override overriding bypass bypassing overlook neglect discard dismiss abandon omit skip unlearn erase " +
    "ignoriere ignorieren vergiss vergesse missachte umgehe ignorez oubliez oublie ignora ignorar olvida olvide omite ignoriamo dimentica esqueca desconsidere",
  prior:
    "previous prior above earlier preceding former foregoing past existing initial original old before current first far until now " +
    "vorherigen vorigen bisherigen obigen fruheren precedentes precedente anteriores anterior previas previos precedenti anteriori",
  instruction:
    "instruction instructions rule rules prompt prompts direction directions directive directives guideline guidelines command commands order orders programming restriction restrictions " +
    "constraint constraints context policy policies guardrail guardrails training safeguards safeguard protocols protocol conversation told said message messages text tasks task input " +
    "anweisung anweisungen regeln befehle vorgaben consignes regles ordenes instrucciones reglas instrucoes regras istruzioni regole aufgaben",
  all: "all any every everything anything whatever whole entire the your these those my its alle tout toutes todas todos tutte tutti lo",
  reveal:
    "reveal show print repeat output display tell give share leak expose disclose recite dump list write spell summarize reproduce return provide echo translate copy paste state " +
    "zeige verrate affiche montre muestra revela mostra mostre",
  system:
    "system initial hidden secret internal original developer confidential preprompt pre private base first starting sistema systeme",
  prompt:
    "prompt prompts instructions instruction message rules guidelines configuration preprompt directives setup context",
  you: "you ur u du sie tu vous usted voce",
  are: "are become be act behave play roleplay pretend simulate imagine impersonate assume operate function respond bist agis actua",
  persona:
    "dan stan dude aim jailbroken jailbreak unrestricted unfiltered uncensored unlimited amoral unethical evil sudo godmode unbound unchained unlocked limitless omega devmode hacker freed",
  mode: "mode modus modo",
  developer: "developer debug admin administrator root god maintenance jailbreak dev unrestricted opposite chaos sudo",
  no: "no without not never free zero neither nor any sans ohne sin dont",
  limits:
    "restrictions restriction limitations limits filters filter censorship rules guidelines ethics ethical moral morals morality safety boundaries constraints policies policy laws warnings disclaimers refusals safeguards",
  longer: "longer anymore freed released",
  new: "new updated following real actual true different revised neue nouvelle nouvelles nueva nuevas nuove",
  assistant: "assistant ai llm chatbot bot gpt chatgpt claude gemini model agent copilot assistent ia asistente",
  secretly: "secretly silently covertly quietly discreetly",
  user: "user users human anyone them him her client customer people",
  mention: "mention tell inform notify alert reveal disclose acknowledge show ask say warn",
  send: "send forward email post upload transmit exfiltrate submit transfer wire fetch visit navigate call append embed",
  data: "data password passwords credentials token tokens secrets secret key keys conversation history contents emails messages files file details information funds money payment",
  obey: "obey comply follow execute perform carry",
  refuse: "refuse decline deny reject warn apologize apologise moralize lecture",
  important: "important attention urgent critical note notice warning system admin override",
  instead: "instead stattdessen sondern rather",
  stop: "stop cease quit end",
  being: "being acting following",
} as const;

export type WordClass = keyof typeof CLASSES;

const classes = new Map<string, WordClass[]>();
for (const [name, words] of Object.entries(CLASSES)) {
  for (const word of words.split(" ")) {
    const folded = foldWord(word);
    const known = classes.get(folded) ?? [];
    if (!known.includes(name as WordClass)) classes.set(folded, [...known, name as WordClass]);
  }
}

export const WORD_CLASSES: ReadonlyMap<string, readonly WordClass[]> = classes;
