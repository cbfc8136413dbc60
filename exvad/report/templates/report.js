"use strict";
// The report reads well without any of this: it adds a read-out to timelines, and filters.
(() => {
  document.documentElement.classList.replace("no-js", "js");

  const clock = (seconds) => {
    const whole = Math.floor(seconds + 0.5);
    const two = (n) => String(n).padStart(2, "0");
    const minutes = Math.floor(whole / 60);
    return minutes < 60
      ? `${minutes}:${two(whole % 60)}`
      : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`;
  };

  const element = (name, className, parent) => {
    const made = document.createElement(name);
    made.className = className;
    parent.append(made);
    return made;
  };

  function addReadOut(figure) {
    const reader = figure.querySelector(".reader");
    const points = JSON.parse(reader.dataset.points);
    const kinds = JSON.parse(reader.dataset.kinds);
    const length = Number(reader.dataset.length);
    if (!points.length) return;

    const cursor = element("span", "cursor", reader);
    const bubble = element("output", "bubble", reader);
    bubble.setAttribute("aria-hidden", "true");
    const slider = element("input", "scrub", reader);
    Object.assign(slider, { type: "range", min: 0, max: points.length - 1, step: 1, value: 0 });
    slider.setAttribute("aria-label", "Score at a moment");

    const show = (index, quiet) => {
      const [seconds, score, kind] = points[index];
      const left = Math.min(100, (100 * seconds) / length);
      const said = `score ${score < 1 ? Math.min(99, Math.round(100 * score)) : 100}\u202f%`;
      const text = `${clock(seconds)}, ${said}${kind < 0 ? "" : `, ${kinds[kind]}`}`;
      cursor.style.left = `${left}%`;
      bubble.style.left = `${left}%`;
      bubble.style.translate = `${-left}% 0`;
      bubble.textContent = text.replaceAll(", ", " · ");
      slider.value = index;
      slider.setAttribute("aria-valuetext", text);
      reader.classList.toggle("on", !quiet);
    };
    const nearest = (seconds) => {
      let best = 0;
      points.forEach(([time], index) => {
        if (Math.abs(time - seconds) < Math.abs(points[best][0] - seconds)) best = index;
      });
      return best;
    };

    const hide = () => reader.classList.toggle("on", document.activeElement === slider);
    const follow = (event) => {
      const box = reader.getBoundingClientRect();
      show(nearest(((event.clientX - box.left) / box.width) * length));
    };
    show(0, true);
    slider.addEventListener("input", () => show(Number(slider.value)));
    slider.addEventListener("focus", () => show(Number(slider.value)));
    slider.addEventListener("blur", hide);
    reader.addEventListener("pointermove", follow);
    reader.addEventListener("pointerdown", follow);
    reader.addEventListener("pointerleave", hide);
    for (const thumb of figure.parentElement.querySelectorAll(".thumbs > li")) {
      thumb.addEventListener("pointerenter", () => show(nearest(Number(thumb.dataset.seconds))));
      thumb.addEventListener("pointerleave", hide);
    }
  }

  function addFilters() {
    const chips = [...document.querySelectorAll(".chip")];
    if (!chips.length) return;
    const reset = document.querySelector("[data-reset]");
    const shown = document.querySelector("[data-shown]");
    const everything = shown.textContent;
    const lists = [...document.querySelectorAll("[data-filtered]")];

    const chosen = (filter) =>
      chips
        .filter((c) => c.dataset.filter === filter && c.getAttribute("aria-pressed") === "true")
        .map((c) => c.dataset.value);
    const apply = () => {
      const outcomes = chosen("outcome");
      const kinds = chosen("kind");
      let count = 0;
      let total = 0;
      for (const list of lists) {
        count = 0;
        total = 0;
        for (const card of list.querySelectorAll("[data-card]")) {
          const own = card.dataset.kinds.split("\n");
          card.hidden =
            (outcomes.length > 0 && !outcomes.includes(card.dataset.outcome)) ||
            (kinds.length > 0 && !kinds.some((kind) => own.includes(kind)));
          total += 1;
          count += card.hidden ? 0 : 1;
        }
      }
      const all = outcomes.length + kinds.length === 0;
      shown.textContent = all ? everything : `Showing ${count} of ${total} videos.`;
      reset.hidden = all;
    };
    for (const chip of chips) {
      chip.addEventListener("click", () => {
        chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
        apply();
      });
    }
    reset.addEventListener("click", () => {
      for (const chip of chips) chip.setAttribute("aria-pressed", "false");
      apply();
      chips[0].focus();
    });
    apply();
  }

  const openTarget = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const details = target && target.closest("details");
    if (details && !details.open) {
      details.open = true;
      target.scrollIntoView();
    }
  };

  document.querySelectorAll("[data-timeline]").forEach(addReadOut);
  addFilters();
  addEventListener("hashchange", openTarget);
  openTarget();
})();
