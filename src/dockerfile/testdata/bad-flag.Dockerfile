FROM x
COPY --form=a b c
