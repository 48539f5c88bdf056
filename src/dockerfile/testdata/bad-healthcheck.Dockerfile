FROM x
HEALTHCHECK --interval=fast CMD true
