// Keeps the page fresh. Without it the page reloads itself; with it only what changed is replaced, so that nothing jumps or flickers
// and a screen reader hears a new state once.
"use strict";

const EVERY_MS = 2000;
const PATIENCE_MS = 6000;

async function latest() {
  const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
  if (!answer.ok) throw new Error(answer.statusText);
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

// Gives `old` the children of `fresh`, unless they look the same.
function refill(old, fresh) {
  if (old.innerHTML !== fresh.innerHTML) old.replaceChildren(...document.importNode(fresh, true).childNodes);
}

function rename(title, icon) {
  document.title = title;
  const link = document.querySelector("link[rel=icon]");
  if (link.getAttribute("href") !== icon) link.setAttribute("href", icon);
}

function show(fresh) {
  const ids = (root) => [...root.querySelectorAll("main > *")].map((part) => part.id).join();
  if (ids(document) === ids(fresh)) {
    for (const part of fresh.querySelectorAll("main > *")) refill(document.getElementById(part.id), part);
  } else {
    refill(document.querySelector("main"), fresh.querySelector("main"));
  }
  rename(fresh.title, fresh.querySelector("link[rel=icon]").getAttribute("href"));
}

function showLost() {
  const state = document.getElementById("state");
  if (state.querySelector(".no-connection")) return;
  state.replaceChildren(document.importNode(document.getElementById("no-connection").content, true));
  rename(`${state.querySelector("h1").textContent} · AnonBox`, "/static/shapes/no-connection.svg");
}

async function turn() {
  try {
    show(await latest());
  } catch {
    showLost();
  }
  setTimeout(turn, EVERY_MS);
}

setTimeout(turn, EVERY_MS);
