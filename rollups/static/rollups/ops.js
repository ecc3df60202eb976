"use strict";

// Fetches the changing part of the page every few seconds, while the page is visible.
{
  const part = document.querySelector("[data-fetch]");
  const says = document.querySelector("[data-refreshed]");
  const pause = document.querySelector("[data-pause]");
  const seconds = Number(part.dataset.every);
  let isPaused = false;
  let isFetching = false;
  let level = part.querySelector("[data-level]").dataset.level;

  // What a screen reader is told: only what it needs to know, never every few seconds.
  const say = (text) => {
    if (says.textContent !== text) says.textContent = text;
  };

  const show = (html) => {
    const open = [...part.querySelectorAll("details[open]")].map((one) => one.id);
    const focused = document.activeElement?.closest("[data-fetch] details")?.id;
    part.innerHTML = html;
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (focused) document.querySelector(`#${focused} summary`)?.focus();
    const now = part.querySelector("[data-level]").dataset.level;
    if (now !== level) say(`The state is now ${now}. Refreshed every ${seconds} seconds.`);
    else say(`Refreshed every ${seconds} seconds.`);
    level = now;
  };

  const refresh = async () => {
    if (isPaused || isFetching || document.hidden) return;
    isFetching = true;
    try {
      const answer = await fetch(part.dataset.fetch, { signal: AbortSignal.timeout(10_000) });
      if (answer.redirected) say("You are signed out: load the page again.");
      else if (!answer.ok) say(`The server does not answer (${answer.status}); trying again.`);
      else if (!isPaused) show(await answer.text());
    } catch {
      say("The server does not answer; trying again.");
    } finally {
      isFetching = false;
    }
  };

  pause.hidden = false;
  say(`Refreshed every ${seconds} seconds.`);
  pause.addEventListener("click", () => {
    isPaused = !isPaused;
    pause.textContent = isPaused ? "Continue" : "Pause";
    say(isPaused ? "Paused." : `Refreshed every ${seconds} seconds.`);
    refresh();
  });
  setInterval(refresh, seconds * 1000);
  document.addEventListener("visibilitychange", refresh);
}
