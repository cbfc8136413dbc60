// Review of an analysis or an alert by a person: the triage buttons, and a warning where the
// explanation and the scores disagree.
import { makeButton } from "./dom.js";
import { formatClass } from "./format.js";

const TRIAGE_STATES = { open: "Open", reviewed: "Reviewed", "false alarm": "False alarm" };

/**
 * Fill a group with a button for each triage state.
 * @param {HTMLElement} group
 * @param {(triage: string) => void} onChoose - receives the state that was chosen
 */
export function makeTriageButtons(group, onChoose) {
  group.replaceChildren(...Object.entries(TRIAGE_STATES).map(([triage, text]) => {
    const button = makeButton(text);
    button.dataset.triage = triage;
    button.addEventListener("click", () => onChoose(triage));
    return button;
  }));
}

/**
 * Show a triage state as the chosen one.
 * @param {HTMLElement} group - with the buttons of `makeTriageButtons`
 * @param {string} triage
 */
export function showTriage(group, triage) {
  for (const button of group.children) {
    button.setAttribute("aria-pressed", String(button.dataset.triage === triage));
  }
}

/**
 * Describe how an explanation contradicts the detected classes.
 * @param {string[]} labels - the detected classes
 * @param {{anomalous: boolean, category: string}|null} explanation
 * @returns {string} empty if they agree
 */
export function describeDisagreement(labels, explanation) {
  if (!explanation || !labels.length || labels.includes(explanation.category)) return "";
  const content = explanation.anomalous ? formatClass(explanation.category) : "nothing abnormal";
  return `The explanation disagrees with the scores: it describes ${content}.`;
}
