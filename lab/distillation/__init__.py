"""Distillation: a small ModernBERT learns teachers' vectors, with pairs of query and text.

teacher           a BERT whose vectors are learnt, token by token
teachers          several teachers, each with its weight
teacher_outputs   what one teacher makes of a batch
long_texts        long texts, of which the teacher reads a window at a time
needles           passages told apart from the same with one word changed
losses            distances to the teachers, and contrast between pairs
all_gather        a batch that several processes have read
distill           the run: resumable, checkpointed, in one process or several; `distill_config`

joint             the geometry of several encoders together, on a model that keeps what it can do
joint_targets     several encoders as one geometry; `joint_text` has them read a corpus
onnx_teacher      an encoder to learn from, of which there is an ONNX graph alone

statements        statements alike but for a word or two, put into other texts
hidden_states     what the trunk makes of texts, kept on the disk
token_head        the token head alone, on a trunk that stays as it is; `token_head_reading`
query_weights     what a token counts in a query
"""
