"""The sink guard: does the event's data change the shape of what an interpreter is given?

    origin.py       where a piece of text came from
    decoding.py     the forms in which an application may have decoded it
    batches.py      what is done for thousands of texts at once
    known.py        all texts of one invocation's event as they are, and where each is
    decoded_texts.py  their forms, and what they are searched by
    taint.py        the same found again in other texts
    generations.py  the notes of how texts were made
    calls.py        what is noted of a call's result
    provenance.py   how the function's own code put its texts together
    pieces.py       what templates made, taken apart
    matched.py      what `re.sub` made, taken apart
    tracing.py      both together: where in a sink's text outside data is
    spans.py        places in a text: in order, cut, found again
    quick.py        the part of it that loops call, in as few steps as can be
    scopes.py       where rewritten code may set names
    evaluated.py    what a text is given that is evaluated
    heads.py        what it announces as a head of a message
    bound_methods.py  functions that write, kept under another name
    rewriting.py    the syntax tree of the function's own modules, made to tell provenance
    inlining.py     what of it is written into functions instead of called
    bytecode.py     the file in which the build keeps that rewritten form
    loading.py      finds those modules, and patches modules of others once they are imported
    sink.py         what a sink is: hooks, and the verdict it comes to
    core.py         one guard for each process: begin, check, verdict, record
    sample.py       what the hooks cost a call, where that is sampled
    shapes.py       what is usual of texts that are put together for sinks
    class_values.py  values of classes that are no fields of objects
    acts.py         what packages of others do, and what they are denied
    act_events.py   of that, what the interpreter's audit events tell
    package_files.py  whose a file is
    threads.py      what began a thread
    handed_over.py  exceptions that code gets as values
    leaks/          what an answer may not tell of the inside
    sinks/          one file for each sink, one line of registration each

It protects honest code from hostile data, and is no sandbox: hostile code gets around it, and
meets the sandbox. It fails closed: an error inside a check blocks the call. Standard library only;
imports nothing of ours from outside this package.
"""
